import { type ByteString, utf8FromBytes } from '#archive';
import { EngineError } from '#errdefs';
import { maxNameBytes } from './format.ts';

/** Before the name that a layer hides: so the longest names have whiteouts that no file could be called. */
export const whiteoutPrefix = '.wh.';
/** PATH_MAX: no system call could name anything longer. */
const maxPathBytes = 4096;

/** What a path is, in the words dockerd has for it. */
export type PathRole = 'entry name' | 'hardlink target' | 'whiteout entry';

/** @throws always, `invalid-argument` */
export function refusePath(role: PathRole, path: ByteString): never {
  throw new EngineError('invalid-argument', `invalid ${role} ${quote(path)}`);
}

/** @throws always, `invalid-argument` */
export function refuseEntry(path: ByteString, fact: string): never {
  throw new EngineError('invalid-argument', `layer entry ${quote(path)}: ${fact}`);
}

/** @throws always, `invalid-argument`: what a system call would have answered, as dockerd passes it on. */
export function refuseCall(call: string, path: ByteString, fact: string): never {
  throw new EngineError('invalid-argument', `${call} ${utf8FromBytes(path)}: ${fact}`);
}

function quote(path: ByteString): string {
  return JSON.stringify(utf8FromBytes(path));
}

/**
 * A tar's path as the components of a path in the layer's root; empty for the root. Leading slashes go, `.` and `..` are resolved as text, as
 * dockerd does.
 * @throws `invalid-argument` when the path leaves the root, or a name is longer than any Linux filesystem takes.
 */
export function cleanPath(path: ByteString, role: PathRole): ByteString[] {
  const shown = path.length > 300 ? `${path.slice(0, 300)}…` : path;
  if (path.length > maxPathBytes) refuseCall('openat', shown, 'file name too long');
  const components: ByteString[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (components.pop() === undefined) refusePath(role, path);
      continue;
    }
    components.push(part);
  }
  const hasLongName = components.some((part, position) => {
    const isMarker = role === 'entry name' && position === components.length - 1 && part.startsWith(whiteoutPrefix);
    return part.length > (isMarker ? whiteoutPrefix.length + maxNameBytes : maxNameBytes);
  });
  if (hasLongName) refuseCall('openat', shown, 'file name too long');
  return components;
}
