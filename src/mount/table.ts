import { readFileSync } from 'node:fs';
import { EngineError } from '#errdefs';
import type { MountInfo } from './types.ts';

/**
 * Decodes `/proc/<pid>/mountinfo` (proc_pid_mountinfo(5)), in the kernel's order: a later mount on the same target hides
 * an earlier one. @throws `internal` on a line of another shape.
 */
export function parseMountInfo(text: string): MountInfo[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(parseLine);
}

function parseLine(line: string): MountInfo {
  const fields = line.split(' ');
  // Any number of optional fields (propagation) stand before the lone dash.
  const dash = fields.indexOf('-', 6);
  const [id, parent, , root, target, options] = fields;
  const [fsType, source, superOptions] = fields.slice(dash + 1);
  if (dash < 0 || fsType === undefined || source === undefined || target === undefined || root === undefined) {
    throw new EngineError('internal', `read the mount table: ${JSON.stringify(line)} has an unknown shape`);
  }
  return {
    id: Number(id),
    parent: Number(parent),
    root: unescapeOctal(root),
    target: unescapeOctal(target),
    fsType: unescapeOctal(fsType),
    source: unescapeOctal(source),
    options: superOptions ? `${options},${superOptions}` : (options ?? ''),
  };
}

/** Space, tab, line feed, backslash and `#` are written as a backslash and three octal digits of the byte. */
function unescapeOctal(field: string): string {
  return field.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/**
 * The mounts of this process's namespace. procfs answers from memory, so reading is synchronous. As bytes first: where Node 26.10 reads text itself, a file
 * that answers with short pieces and then a long one, as this does with deep overlays, is written beyond the end of a buffer.
 */
export function readMountTable(): MountInfo[] {
  return parseMountInfo(readFileSync('/proc/self/mountinfo').toString());
}

/** The mounts at `folder` or below it, deepest and latest first: the order to unmount them in. */
export function mountsBelow(folder: string, table: readonly MountInfo[] = readMountTable()): MountInfo[] {
  return table
    .filter(({ target }) => target === folder || target.startsWith(`${folder}/`))
    .reverse()
    .sort((a, b) => depth(b.target) - depth(a.target));
}

function depth(path: string): number {
  return path.split('/').length;
}
