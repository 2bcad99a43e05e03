import { closeSync, openSync, readlinkSync } from 'node:fs';
import { byteString, bytesOf, TarParser } from '#archive';
import type { StoredBlob } from '#content';
import type { AbortFlag } from './abort-flag.ts';
import { typeOfStat } from './attributes.ts';
import type { MergedFile } from './merged.ts';
import { type BelowLookup, LayerTree } from './tree.ts';

const chunkBytes = 1 << 20;

/**
 * Reads a layer's tar, front to back, into its tree; `below` is the root of the chain under it. Blocking.
 * @throws `invalid-argument` when it is no tar or a hostile one.
 */
export function readLayerTree(tar: StoredBlob, below: MergedFile | undefined, abort: AbortFlag): LayerTree {
  const tree = new LayerTree(below && belowLookup(below));
  const parser = new TarParser({ entry: (entry) => tree.add(entry) });
  const chunk = Buffer.allocUnsafe(chunkBytes);
  for (let offset = 0; ; ) {
    abort.check();
    const size = tar.read(chunk, offset);
    if (size === 0) break;
    parser.write(chunk.subarray(0, size));
    offset += size;
  }
  parser.end();
  return tree;
}

/** How a layer's tree sees the chain under it. */
export function belowLookup(root: MergedFile): BelowLookup {
  return (path) => {
    const found = root.folder?.find(path);
    if (found === undefined) return undefined;
    const type = typeOfStat(found.stat);
    if (type === 'symlink') return { target: byteString(readlinkSync(bytesOf(found.path), 'buffer')) };
    return type === 'directory' ? {} : undefined;
  };
}

/** Runs `use` with the file open for reading. */
export function withFile<T>(path: string | Buffer, use: (fd: number) => T): T {
  const fd = openSync(path, 'r');
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}
