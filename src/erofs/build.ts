import { closeSync, fstatSync, fsyncSync, openSync, readSync } from 'node:fs';
import { TarParser } from '#archive';
import { EngineError } from '#errdefs';
import { chainLookup, type SourceOf } from './chain.ts';
import { IndexFile } from './image.ts';
import { LayerIndexer, type LayerNeeds } from './indexer.ts';
import { mergeChain } from './merge.ts';
import type { DataReader, DataSource } from './types.ts';
import { encodeIndex, type IndexImage } from './writer.ts';

export interface BuildIndexOptions {
  /** The layer's uncompressed tar. */
  readonly tarPath: string;
  /** Its name in the device table, at most 64 bytes: the hex of the diffID. */
  readonly tag: string;
  /** A fresh file; the caller renames it into place and removes it after a failure. */
  readonly indexPath: string;
  /** Indexes of the chain below, topmost first. Left out: the layer is indexed by itself. */
  readonly lower?: readonly string[];
  /** The tar behind a tag of a lower index; needed only when its data must be copied. */
  readonly tarOf?: (tag: string) => string;
}

export interface WrittenIndex {
  /** Tags of the tars to mount it with, in order. */
  readonly devices: readonly string[];
  readonly inodes: number;
  readonly sizeBytes: number;
}

export interface BuiltIndex extends LayerNeeds, WrittenIndex {}

export interface MergeIndexesOptions extends Pick<BuildIndexOptions, 'indexPath' | 'tarOf'> {
  /** In place of `tarOf`, for tars that are no plain files. */
  readonly sourceOf?: SourceOf;
  /** The chain, topmost first. */
  readonly indexes: readonly string[];
}

const chunkBytes = 1 << 20;

/**
 * Indexes a tar on disk and syncs the index. Blocks its thread: call it in a worker.
 *
 * With `lower`, implied parents take the attributes of the chain below, and hardlinks into it are resolved (their tars then appear in
 * `devices`): such an index belongs to the chain, not to the layer alone.
 *
 * @throws EngineError `invalid-argument` for a tar that is malformed, hostile, or beyond what EROFS can describe; `data-loss` for a broken lower index.
 */
export function buildIndex(options: BuildIndexOptions): BuiltIndex {
  using resources = new DisposableStack();
  const tarFd = openFile(resources, options.tarPath, 'r');
  const indexes = options.lower?.map((path) => resources.use(IndexFile.open(path)));
  const tar = fileSource(tarFd, options.tag);
  const lookup = indexes && chainLookup(indexes, lowerSources(resources, options.tarOf));
  const indexer = new LayerIndexer(tar, lookup);
  parseFile(tarFd, new TarParser({ entry: (entry) => indexer.add(entry) }));
  const needs = indexer.finish();
  const image = encodeIndex(indexer);
  return { ...needs, ...writeImage(resources, image, options.indexPath) };
}

/**
 * One index over the tars of a whole chain, as overlayfs would show it: for chains deeper than overlayfs stacks. Blocks its thread.
 * @throws `data-loss` for a broken index; `invalid-argument` when the tars are too large together.
 */
export function mergeIndexes(options: MergeIndexesOptions): WrittenIndex {
  using resources = new DisposableStack();
  const indexes = options.indexes.map((path) => resources.use(IndexFile.open(path)));
  const image = encodeIndex(mergeChain(indexes, options.sourceOf ?? lowerSources(resources, options.tarOf)));
  return writeImage(resources, image, options.indexPath);
}

function writeImage(resources: DisposableStack, image: IndexImage, path: string): WrittenIndex {
  const fd = openFile(resources, path, 'wx');
  image.writeTo(fd);
  fsyncSync(fd);
  return { devices: image.devices, inodes: image.inodes, sizeBytes: image.sizeBytes };
}

function openFile(resources: DisposableStack, path: string, flags: 'r' | 'wx'): number {
  return resources.adopt(openSync(path, flags, 0o600), closeSync);
}

/** A tar on disk as a source of data. */
export function fileSource(fd: number, tag: string): DataSource {
  return readerSource({ sizeBytes: fstatSync(fd).size, read: (target, offset) => readFrom(fd, target, offset) }, tag);
}

export function readerSource(reader: DataReader, tag: string): DataSource {
  return {
    tag,
    sizeBytes: reader.sizeBytes,
    read(target, offset) {
      if (reader.read(target, offset) < target.length)
        throw new EngineError('data-loss', `read layer ${tag}: the tar is too short`);
    },
  };
}

function readFrom(fd: number, target: Buffer, offset: number): number {
  let done = 0;
  while (done < target.length) {
    const length = readSync(fd, target, done, target.length - done, offset + done);
    if (length === 0) break;
    done += length;
  }
  return done;
}

function lowerSources(resources: DisposableStack, tarOf: ((tag: string) => string) | undefined): SourceOf {
  const sources = new Map<string, DataSource>();
  return (tag, sizeBytes) => {
    const known = sources.get(tag);
    if (known) return known;
    const source: DataSource = {
      tag,
      sizeBytes,
      read(target, offset) {
        if (!tarOf) throw new EngineError('internal', `read layer ${tag}: no path known`);
        fileSource(openFile(resources, tarOf(tag), 'r'), tag).read(target, offset);
      },
    };
    sources.set(tag, source);
    return source;
  };
}

function parseFile(fd: number, parser: TarParser): void {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  for (let at = 0; ; ) {
    const length = readSync(fd, chunk, 0, chunkBytes, at);
    if (length === 0) break;
    at += length;
    parser.write(chunk.subarray(0, length));
  }
  parser.end();
}
