import {
  type ByteString,
  clampTime,
  endOfArchive,
  type PackEntry,
  packHeader,
  packPadding,
  type TimeClamp,
} from '#archive';
import type { FullStat } from '#sys';
import { readAttributes, statOf } from './attributes.ts';
import { withParents } from './changes.ts';
import { type Compared, compareUpper } from './compare-upper.ts';
import { isOpaque } from './marks.ts';
import type { MergedFile } from './merged.ts';
import { opaqueName, whiteoutPrefix } from './names.ts';
import type { Attributes } from './tree.ts';
import { marksOf, type Upper, withoutNotes } from './upper.ts';
import type { UpperFiles } from './upper-files.ts';

/** Up to here a file is read at once. */
const smallFileBytes = 64 << 10;

/** What a writable layer stands on; `root` is how the chain shows its root folder. */
export interface DiffBase {
  readonly below: MergedFile | undefined;
  readonly root: Attributes;
}

/** Where a layer tar goes. */
export interface TarSink {
  write(bytes: Uint8Array): void;
  /** The next bytes, put there by `read`. */
  fill(sizeBytes: number, read: (into: Buffer) => void): void;
}

/** A file too large to be read at once, whose data is to follow before the next step. */
export interface LargeFile {
  readonly path: ByteString;
  readonly sizeBytes: number;
}

/**
 * Writes a writable layer as a layer tar (image-spec v1.1 layer.md): names in order, numeric owners, whiteouts dated at the epoch, names
 * of one file as hardlinks, sockets left out. A file that changes while it is read is cut or filled with zeros to the size its header says.
 * A step for each name, which answers a file whose data the caller puts into the sink.
 */
export function* packUpper(
  upper: Upper,
  { below, root }: DiffBase,
  { files, sink, clamp }: { files: UpperFiles; sink: TarSink; clamp: TimeClamp | undefined },
): Generator<LargeFile | undefined> {
  const packer = new DiffPacker(upper, files, sink, clamp);
  packer.root(root);
  const walk = compareUpper(upper, below, { strict: true });
  for (const item of upper.form === 'plain' ? withParents(walk) : walk) {
    const large = packer.add(item);
    yield large;
    if (large !== undefined) packer.pad(large.sizeBytes);
  }
  sink.write(endOfArchive);
}

class DiffPacker {
  readonly #upper: Upper;
  readonly #files: UpperFiles;
  readonly #sink: TarSink;
  readonly #clamp: TimeClamp | undefined;
  readonly #links = new Map<bigint, ByteString>();

  constructor(upper: Upper, files: UpperFiles, sink: TarSink, clamp: TimeClamp | undefined) {
    this.#files = files;
    this.#sink = sink;
    this.#clamp = clamp;
    this.#upper = upper;
  }

  /** The root has an entry only when its owner, mode or attributes were changed. */
  root(before: Attributes): void {
    const shown = readAttributes(this.#upper.root);
    const own = { ...shown, xattrs: withoutNotes(this.#upper, shown.xattrs) };
    if (rootKey(own) !== rootKey(before)) this.#header({ ...this.#dated(own), type: 'directory', path: './' });
    if (this.#upper.form !== 'plain' && isOpaque(this.#upper.root, marksOf(this.#upper)))
      this.#header(whiteout(opaqueName));
  }

  /** Takes one item; answers a file too large to be read here, whose data is to follow. */
  add(item: Compared): LargeFile | undefined {
    if (item.kind === 'delete') {
      if (!item.byFolder) this.#header(whiteout(hiding(item.path)));
      return undefined;
    }
    const attributes = this.#attributes(item.place, item.stat);
    if (attributes === undefined || attributes.type === 'socket') return undefined;
    const first = attributes.type === 'directory' ? undefined : this.#links.get(item.stat.ino);
    if (first !== undefined) {
      this.#header({ ...attributes, type: 'hardlink', path: item.path, linkPath: first, xattrs: new Map() });
      return undefined;
    }
    if (attributes.type !== 'directory' && item.stat.nlink > 1) this.#links.set(item.stat.ino, item.path);
    this.#header({ ...attributes, type: attributes.type, path: item.path });
    if (item.opaque) this.#header(whiteout(`${item.path}/${opaqueName}`));
    return attributes.type === 'file' ? this.#data(item.path, attributes.sizeBytes) : undefined;
  }

  #attributes(place: ByteString, stat: FullStat) {
    try {
      return this.#dated(readAttributes(place, stat));
    } catch (error) {
      if (statOf(place) === undefined) return undefined;
      throw error;
    }
  }

  #dated(attributes: Attributes): Attributes {
    const xattrs = withoutNotes(this.#upper, attributes.xattrs);
    return { ...attributes, xattrs, mtime: clampTime(attributes.mtime, this.#clamp) };
  }

  #header(entry: PackEntry): void {
    this.#sink.write(packHeader(entry));
  }

  #data(path: ByteString, sizeBytes: number): LargeFile | undefined {
    if (sizeBytes > smallFileBytes) return { path, sizeBytes };
    if (sizeBytes > 0) this.#sink.fill(sizeBytes, (into) => this.#files.readWhole(path, into));
    this.pad(sizeBytes);
    return undefined;
  }

  pad(sizeBytes: number): void {
    const zeros = packPadding(sizeBytes);
    if (zeros.length > 0) this.#sink.write(zeros);
  }
}

function rootKey(attributes: Attributes): string {
  const { mode, uid, gid, xattrs } = attributes;
  return JSON.stringify([
    mode,
    uid,
    gid,
    [...xattrs].map(([name, value]) => [name, Buffer.from(value).toString('hex')]),
  ]);
}

/** The whiteout that hides a path. */
function hiding(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/') + 1;
  return path.slice(0, slash) + whiteoutPrefix + path.slice(slash);
}

function whiteout(path: ByteString): PackEntry {
  return { type: 'file', path, mode: 0o600 };
}
