import { type ByteString, utf8FromBytes } from '#archive';
import { EngineError } from '#errdefs';

/** image-spec v1.1 layer.md §whiteouts. */
export const whiteoutPrefix = '.wh.';
export const opaqueName = '.wh..wh..opq';
/** What AUFS kept for itself; no file of the image. */
export const auxiliaryPrefix = '.wh..wh.';

/** What a path in a tar is, in the words dockerd has for it. */
export type PathRole = 'entry name' | 'hardlink target' | 'whiteout entry';

/**
 * The components of a path in a tar, cleaned lexically as dockerd does: a leading slash, `.` and empty components go.
 * @throws `invalid-argument` when `..` leads out of the root (a path traversal attack).
 */
export function splitPath(path: ByteString, role: PathRole): ByteString[] {
  const parts: ByteString[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) throw invalidPath(role, path);
  }
  if (path.includes('\0')) throw invalidPath(role, path);
  return parts;
}

export function invalidPath(role: PathRole, path: ByteString): EngineError {
  return new EngineError('invalid-argument', `invalid ${role} ${shown(path)}`);
}

/** What a system call would answer, as dockerd passes it on. */
export function refusedCall(call: string, path: ByteString, fact: string): EngineError {
  return new EngineError('invalid-argument', `${call} ${utf8FromBytes(path.slice(0, 300))}: ${fact}`);
}

/** A name for messages: quoted, never more than a line. */
export function shown(path: ByteString): string {
  return JSON.stringify(utf8FromBytes(path.slice(0, 300)));
}

/** For a snapshot that is to be of limited size where none can be had. */
export function noSizeLimit(key: string, why: string): EngineError {
  return new EngineError('failed-precondition', `snapshot ${key}: its size cannot be limited: ${why}`);
}
