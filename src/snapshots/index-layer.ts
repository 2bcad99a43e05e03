import { closeSync, fsyncSync, openSync, readSync } from 'node:fs';
import { type ByteString, TarParser } from '#archive';
import {
  chainLookup,
  type DataSource,
  encodeIndex,
  fileSource,
  IndexFile,
  LayerIndexer,
  type LowerLookup,
} from '#erofs';
import { EngineError } from '#errdefs';
import type { AbortFlag } from './abort-flag.ts';
import { type IndexTree, settleWhiteouts } from './index-whiteouts.ts';

const chunkBytes = 1 << 20;

export interface IndexSource {
  readonly tar: string;
  readonly tag: string;
  /** A fresh file. */
  readonly index: string;
  /** Indexes of the chain below, top first; left out: the layer is indexed by itself. */
  readonly lower?: readonly string[];
  /** Tars by tag. */
  readonly tars?: Readonly<Record<string, string>>;
}

export interface IndexedLayer {
  readonly sizeBytes: number;
  readonly inodes: number;
  /** Nothing in the layer leans on what is below it. */
  readonly standsAlone: boolean;
}

/** Indexes a layer's tar and syncs the index. Blocking. @throws `invalid-argument` for a hostile tar; the file may be left half written. */
export function indexLayer(source: IndexSource, abort: AbortFlag): IndexedLayer {
  using resources = new DisposableStack();
  const open = (path: string, flags: string) => resources.adopt(openSync(path, flags, 0o600), closeSync);
  const tarFd = open(source.tar, 'r');
  const lookup = source.lower && lookupIn(resources, source.lower, (tag) => open(tarOf(source, tag), 'r'));
  const indexer = new LayerIndexer(fileSource(tarFd, source.tag), lookup);
  parse(tarFd, new TarParser({ entry: (entry) => indexer.add(entry) }), abort);
  const { impliedParents, outsideHardlinks } = indexer.finish();
  const leans = impliedParents || outsideHardlinks || indexer.tree.root.opaque;
  if (lookup) settleWhiteouts(indexer.tree satisfies IndexTree, lookup, () => rootNames(source.lower ?? []));
  const image = encodeIndex(indexer);
  const indexFd = open(source.index, 'wx');
  image.writeTo(indexFd);
  fsyncSync(indexFd);
  return { sizeBytes: image.sizeBytes, inodes: image.inodes, standsAlone: !leans };
}

function tarOf({ tars }: IndexSource, tag: string): string {
  const path = tars?.[tag];
  if (path === undefined) throw new EngineError('data-loss', `index layer: nothing known of layer ${tag}`);
  return path;
}

/** The merged view of the indexes, top first, as long as `resources` hold. */
export function lookupIn(
  resources: DisposableStack,
  indexes: readonly string[],
  openTar: (tag: string) => number,
): LowerLookup {
  const files = indexes.map((path) => resources.use(IndexFile.open(path)));
  const sources = new Map<string, DataSource>();
  return chainLookup(files, (tag, sizeBytes) => {
    const source = sources.get(tag) ?? lazySource(tag, sizeBytes, openTar);
    sources.set(tag, source);
    return source;
  });
}

/** Data is mostly pointed at, so a tar is opened only when some must be copied. */
function lazySource(tag: string, sizeBytes: number, openTar: (tag: string) => number): DataSource {
  let opened: DataSource | undefined;
  return {
    tag,
    sizeBytes,
    read(target, offset) {
      opened ??= fileSource(openTar(tag), tag);
      opened.read(target, offset);
    },
  };
}

/** Names in the roots of the indexes. */
function rootNames(indexes: readonly string[]): Set<ByteString> {
  const names = new Set<ByteString>();
  for (const path of indexes) {
    using index = IndexFile.open(path);
    for (const { name } of index.entries(index.root)) names.add(name);
  }
  return names;
}

function parse(fd: number, parser: TarParser, abort: AbortFlag): void {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  for (let at = 0; ; ) {
    abort.check();
    const length = readSync(fd, chunk, 0, chunkBytes, at);
    if (length === 0) break;
    at += length;
    parser.write(chunk.subarray(0, length));
  }
  parser.end();
}
