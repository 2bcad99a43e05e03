import {
  type ByteString,
  endOfArchive,
  type PackEntry,
  packHeader,
  packPadding,
  readTar,
  type TarEntry,
} from '#archive';
import type { ContentStore } from '#content';
import type { DiffID } from '#oci';
import type { ByteSource } from '#streams';
import { cleanTreePath, type SourceTree } from '../executor/index.ts';
import { type MergedFile, MergedLayers, opaqueMarker, type Place, whiteoutPrefix } from './merged-layers.ts';

/** The layer that a file came from, or its path in what the merged layers stand on. */
type Origin = DiffID | { readonly below: ByteString };

export interface SquashSource {
  readonly content: Pick<ContentStore, 'open'>;
  /** From the bottom up. */
  readonly layers: readonly DiffID[];
  /** What they stand on. */
  readonly below: SourceTree;
  readonly signal: AbortSignal;
}

/** Several layers as the tar of one that leaves the same files: sorted, times as they are, whiteouts only for what is below. */
export async function* squashedTar(source: SquashSource): AsyncGenerator<Uint8Array> {
  const merged = new MergedLayers<Origin>();
  for (const layer of source.layers) {
    const entries: TarEntry[] = [];
    for await (const { body: _body, ...entry } of readTar(source.content.open(layer))) entries.push(entry);
    source.signal.throwIfAborted();
    await linkBelow(merged, source, merged.add(layer, entries));
  }
  const names = new Map<MergedFile<Origin>, ByteString>();
  for await (const { path, place, whiteout } of walk(merged.root, '', source.below)) {
    source.signal.throwIfAborted();
    if (whiteout) yield packHeader({ type: 'file', path, mode: 0o600 });
    else yield* packed(source, path, place.file!, names);
  }
  yield endOfArchive;
}

/** A hardlink to a file that only the layers below have becomes the file itself. */
async function linkBelow(merged: MergedLayers<Origin>, source: SquashSource, links: readonly TarEntry[]) {
  for (const link of links) {
    const below = cleanTreePath(link.linkPath);
    const node = await source.below.lstat(below);
    if (!node || node.type === 'directory') continue;
    const { inode: _inode, ...attributes } = node;
    const entry: TarEntry = { ...link, ...attributes, xattrs: await source.below.xattrs(below) };
    merged.putAt(link.path, { layer: { below }, entry });
  }
}

interface Step {
  readonly path: ByteString;
  readonly place: Place<Origin>;
  /** A marker stands here, no file. */
  readonly whiteout: boolean;
}

/** Names in order, a folder before what it holds. `below` is undefined where nothing of it shows. */
async function* walk(place: Place<Origin>, path: ByteString, below: SourceTree | undefined): AsyncGenerator<Step> {
  if (place.file && path !== '') yield { path, place, whiteout: false };
  const hidden = place.hides ? await below?.lstat(path) : undefined;
  if (hidden && !place.file && path !== '') yield { path: hiding(path), place, whiteout: true };
  else if (hidden?.type === 'directory' && (path === '' || place.file?.entry.type === 'directory')) {
    yield { path: join(path, opaqueMarker), place, whiteout: true };
  }
  for (const [name, child] of [...place.children].sort(([a], [b]) => (a < b ? -1 : 1))) {
    yield* walk(child, join(path, name), place.hides ? undefined : below);
  }
}

const join = (folder: ByteString, name: ByteString) => (folder === '' ? name : `${folder}/${name}`);

function hiding(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/') + 1;
  return `${path.slice(0, slash)}${whiteoutPrefix}${path.slice(slash)}`;
}

async function* packed(
  source: SquashSource,
  path: ByteString,
  file: MergedFile<Origin>,
  names: Map<MergedFile<Origin>, ByteString>,
): AsyncGenerator<Uint8Array> {
  const { atime: _atime, ctime: _ctime, ...entry } = file.entry;
  const first = names.get(file);
  if (first !== undefined) {
    yield packHeader({ ...entry, type: 'hardlink', path, linkPath: first, xattrs: new Map() });
    return;
  }
  names.set(file, path);
  yield packHeader({ ...(entry as PackEntry), path });
  if (entry.type !== 'file' || entry.sizeBytes === 0) return;
  yield* bodyOf(source, file);
  yield packPadding(entry.sizeBytes);
}

async function* bodyOf({ content, below }: SquashSource, { entry, layer }: MergedFile<Origin>): ByteSource {
  if (typeof layer === 'object') yield* below.read(layer.below);
  else if (!entry.sparse) yield* content.open(layer, { offset: entry.dataOffset, length: entry.storedBytes });
  else {
    // From its own header on: the reader knows how to fill holes.
    for await (const { body } of readTar(content.open(layer, { offset: entry.headerOffset }))) {
      yield* body;
      return;
    }
  }
}
