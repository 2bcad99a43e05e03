import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { EngineError } from '#errdefs';
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
  for (const batch of batches(restOf(fstatSync(source).size, shared))) {
    const written = batch.map((range) => {
      const at = end;
      copy(source, range, fresh, at);
      end = Math.ceil((at + range.lengthBytes) / diskBlockBytes) * diskBlockBytes;
      return { ...range, at };
    });
    // A flush of its own makes an extent of its own.
    fdatasyncSync(fresh);
    for (const { at, offset, lengthBytes } of written) sys.dedupeRange(fresh, at, source, offset, lengthBytes);
  }
}

/** Byte by byte: a copy that shared blocks would be none. */
function copy(source: number, { offset, lengthBytes }: ByteRange, target: number, at: number): void {
  const bytes = Buffer.allocUnsafeSlow(lengthBytes);
  for (let done = 0; done < lengthBytes; ) {
    const length = readSync(source, bytes, done, lengthBytes - done, offset + done);
    if (length === 0) throw new EngineError('data-loss', 'share files: a tar is shorter than it was');
    done += length;
  }
  for (let done = 0; done < lengthBytes; ) done += writeSync(target, bytes, done, lengthBytes - done, at + done);
}

/** Ranges that make an extent together. */
function* batches(ranges: Iterable<ByteRange>): Generator<ByteRange[]> {
  let batch: ByteRange[] = [];
  let sizeBytes = 0;
  for (const range of ranges) {
    batch.push(range);
    sizeBytes += range.lengthBytes;
    if (sizeBytes < extentBytes) continue;
    yield batch;
    batch = [];
    sizeBytes = 0;
  }
  if (batch.length > 0) yield batch;
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
