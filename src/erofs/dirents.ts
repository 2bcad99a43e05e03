import type { ByteString } from '#archive';
import { EngineError } from '#errdefs';
import { blockBytes, direntBytes } from './format.ts';

/** A directory's entries in byte order, `.` and `..` among them, as the kernel's binary search expects. */
export function sortedNames(entries: ReadonlyMap<ByteString, number>): ByteString[] {
  return ['.', '..', ...entries.keys()].sort();
}

/** Bytes the directory takes, entries never straddling blocks. */
export function directoryBytes(names: readonly ByteString[]): number {
  let full = 0;
  let used = 0;
  for (const { length } of names) {
    if (used + direntBytes + length > blockBytes) {
      full++;
      used = 0;
    }
    used += direntBytes + length;
  }
  return full * blockBytes + used;
}

export interface Dirent {
  readonly name: ByteString;
  readonly nid: number;
  readonly type: number;
}

/** Writes all blocks from `offset`; the last one only as far as it is used. */
export function writeDirectory(target: Buffer, offset: number, dirents: readonly Dirent[]): void {
  let blockStart = offset;
  for (let first = 0; first < dirents.length; ) {
    let used = 0;
    let next = first;
    for (; next < dirents.length; next++) {
      const entryBytes = direntBytes + dirents[next]!.name.length;
      if (used + entryBytes > blockBytes) break;
      used += entryBytes;
    }
    writeBlock(target, blockStart, dirents, first, next);
    blockStart += blockBytes;
    first = next;
  }
}

function writeBlock(target: Buffer, start: number, dirents: readonly Dirent[], first: number, end: number): void {
  let nameAt = (end - first) * direntBytes;
  for (let i = first, at = start; i < end; i++, at += direntBytes) {
    const { name, nid, type } = dirents[i]!;
    target.writeUInt32LE(nid, at);
    target.writeUInt32LE(0, at + 4);
    target.writeUInt16LE(nameAt, at + 8);
    target[at + 10] = type;
    target.write(name, start + nameAt, 'latin1');
    nameAt += name.length;
  }
}

/** Decodes one block (the last one as short as it is). @throws `data-loss` when it is malformed. */
export function readBlock(block: Buffer): Dirent[] {
  const count = block.length >= direntBytes ? block.readUInt16LE(8) / direntBytes : 0;
  if (!Number.isInteger(count) || count < 1 || count * direntBytes > block.length) throw malformed();
  const dirents: Dirent[] = [];
  for (let i = 0; i < count; i++) {
    const at = i * direntBytes;
    const start = block.readUInt16LE(at + 8);
    let end = i + 1 < count ? block.readUInt16LE(at + direntBytes + 8) : block.length;
    if (i + 1 === count) for (let j = start; j < end; j++) if (block[j] === 0) end = j;
    if (start >= end || end > block.length) throw malformed();
    dirents.push({
      name: block.toString('latin1', start, end),
      nid: block.readUInt32LE(at),
      type: block[at + 10]!,
    });
  }
  return dirents;
}

function malformed(): EngineError {
  return new EngineError('data-loss', 'read index: malformed directory');
}
