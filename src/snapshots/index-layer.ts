import { closeSync, fsyncSync, openSync } from 'node:fs';
import { type ByteString, TarParser } from '#archive';
import { StoredBlob } from '#content';
import {
  chainLookup,
  type DataSource,
  encodeIndex,
  IndexFile,
  LayerIndexer,
  type LowerLookup,
  readerSource,
  type SourceOf,
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
  const tar = resources.use(StoredBlob.open(source.tar));
  const lookup =
    source.lower &&
    lookupIn(
      resources,
      source.lower,
      tarSources(resources, (tag) => tarOf(source, tag)),
    );
  const indexer = new LayerIndexer(readerSource(tar, source.tag), lookup);
  parse(tar, new TarParser({ entry: (entry) => indexer.add(entry) }), abort);
  const { impliedParents, outsideHardlinks } = indexer.finish();
  const leans = impliedParents || outsideHardlinks || indexer.tree.root.opaque;
  if (lookup) settleWhiteouts(indexer.tree satisfies IndexTree, lookup, () => rootNames(source.lower ?? []));
  const image = encodeIndex(indexer);
  const indexFd = resources.adopt(openSync(source.index, 'wx', 0o600), closeSync);
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
export function lookupIn(resources: DisposableStack, indexes: readonly string[], sourceOf: SourceOf): LowerLookup {
  return chainLookup(
    indexes.map((path) => resources.use(IndexFile.open(path))),
    sourceOf,
  );
}

/** Tars by tag, as long as `resources` hold. Data is mostly pointed at, so one is opened only when some must be copied. */
export function tarSources(resources: DisposableStack, pathOf: (tag: string) => string): SourceOf {
  const sources = new Map<string, DataSource>();
  return (tag, sizeBytes) => {
    const known = sources.get(tag);
    if (known) return known;
    let opened: DataSource | undefined;
    const source: DataSource = {
      tag,
      sizeBytes,
      read(target, offset) {
        opened ??= readerSource(resources.use(StoredBlob.open(pathOf(tag))), tag);
        opened.read(target, offset);
      },
    };
    sources.set(tag, source);
    return source;
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

function parse(tar: StoredBlob, parser: TarParser, abort: AbortFlag): void {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  for (let at = 0; ; ) {
    abort.check();
    const length = tar.read(chunk, at);
    if (length === 0) break;
    at += length;
    parser.write(chunk.subarray(0, length));
  }
  parser.end();
}
