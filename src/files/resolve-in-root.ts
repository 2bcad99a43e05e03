import { lstat, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, isErrno } from '#errdefs';

const maxSymlinks = 255;

/**
 * Where `path`, as seen by a process whose root is `root`, is on this machine. Every symlink step is followed inside
 * the root: absolute targets start at the root and `..` stops there. Components that do not exist are kept
 * as written. `followLast: false` leaves the last component unresolved.
 *
 * Only for trees nobody changes meanwhile; on a live container's root use `sys.openInRoot` (CVE-2018-15664).
 *
 * @throws EngineError `invalid-argument` on a NUL byte or after 255 symlinks.
 */
export async function resolveInRoot(
  root: string,
  path: string,
  options: { followLast?: boolean } = {},
): Promise<string> {
  if (path.includes('\0')) throw new EngineError('invalid-argument', 'resolve path: it contains a NUL byte');
  const followLast = options.followLast ?? true;
  const pending = path.split('/').reverse();
  const resolved: string[] = [];
  let symlinks = 0;
  while (pending.length > 0) {
    const part = pending.pop()!;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      resolved.pop();
      continue;
    }
    const here = join(root, ...resolved, part);
    const isLast = pending.every((rest) => rest === '' || rest === '.');
    const target = isLast && !followLast ? undefined : await symlinkTarget(here);
    if (target === undefined) {
      resolved.push(part);
      continue;
    }
    if (++symlinks > maxSymlinks)
      throw new EngineError('invalid-argument', `resolve ${path}: too many levels of symbolic links`);
    if (target.startsWith('/')) resolved.length = 0;
    pending.push(...target.split('/').reverse());
  }
  return join(root, ...resolved);
}

async function symlinkTarget(path: string): Promise<string | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}
