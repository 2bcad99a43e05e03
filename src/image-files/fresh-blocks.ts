import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { sys } from '#sys';
import { diskBlockBytes } from './share-blocks.ts';

export interface ByteRange {
  readonly offset: number;
  readonly lengthBytes: number;
}

const btrfs = 0x9123683e;
/** What stays allocated for the sake of one block of it. */
const extentBytes = 4 << 20;

/** btrfs keeps an extent, of up to 128 MiB, as long as any block of it is in use; other file systems keep the blocks alone. */
export function keepsExtents(path: string): boolean {
  return statfsSync(path).type === btrfs;
}

/**
 * Moves what a file does not share to small extents of its own, so that those it had go with what it shares now, and so that later ones who share with it
 * hold no more than they need. Written beside and handed over by the kernel, which compares: the file itself is never written. Blocking.
 */
export function renewRest(tar: string, shared: readonly ByteRange[], scratch: string): void {
  using resources = new DisposableStack();
  resources.defer(() => rmSync(scratch, { force: true }));
  const source = resources.adopt(openSync(tar, 'r'), closeSync);
  const fresh = resources.adopt(openSync(scratch, 'wx+', 0o600), closeSync);
  let end = 0;
  for (const { offset, lengthBytes } of restOf(fstatSync(source).size, shared)) {
    const bytes = Buffer.allocUnsafeSlow(lengthBytes);
    if (readSync(source, bytes, 0, lengthBytes, offset) < lengthBytes) return;
    writeSync(fresh, bytes, 0, lengthBytes, end);
    // A flush of its own makes an extent of its own.
    fdatasyncSync(fresh);
    sys.dedupeRange(fresh, end, source, offset, lengthBytes);
    end = Math.ceil((end + lengthBytes) / diskBlockBytes) * diskBlockBytes;
  }
}

/** What lies between ordered ranges, in pieces. Only the last may end within a block, where the file ends. */
function* restOf(sizeBytes: number, shared: readonly ByteRange[]): Generator<ByteRange> {
  let at = 0;
  for (const range of [...shared, { offset: sizeBytes, lengthBytes: 0 }]) {
    for (; at < range.offset; at += extentBytes) {
      yield { offset: at, lengthBytes: Math.min(extentBytes, range.offset - at) };
    }
    at = range.offset + range.lengthBytes;
  }
}
