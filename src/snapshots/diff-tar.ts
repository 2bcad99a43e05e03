import {
  type ByteString,
  clampTime,
  endOfArchive,
  type PackEntry,
  packHeader,
  packPadding,
  type TimeClamp,
} from '#archive';
import { inSlices } from '#concurrency';
import type { FullStat } from '#sys';
import { readAttributes, statOf } from './attributes.ts';
import { withParents } from './changes.ts';
import { type Compared, compareUpper } from './compare-upper.ts';
import { isOpaque, type MergedFile } from './merged.ts';
import { opaqueName, whiteoutPrefix } from './names.ts';
import type { Attributes } from './tree.ts';
import type { DiffOptions } from './types.ts';
import { type Upper, withoutNotes } from './upper.ts';
import { UpperFiles } from './upper-files.ts';

/** Chunks handed out; small files are gathered into one. */
const chunkBytes = 1 << 20;
/** Up to here a file is read at once: cheaper than the way through the thread pool, and short. */
const smallFileBytes = 64 << 10;

/** What a writable layer stands on; `root` is how the chain shows its root folder. */
export interface DiffBase {
  readonly below: MergedFile | undefined;
  readonly root: Attributes;
}

/**
 * A writable layer as a layer tar (image-spec v1.1 layer.md): names in order, numeric owners, whiteouts dated at the epoch, names
 * of one file as hardlinks, sockets left out. A file that changes while it is read is cut or filled with zeros to the size its header says.
 */
export async function* diffTar(
  upper: Upper,
  { below, root }: DiffBase,
  options: DiffOptions,
): AsyncGenerator<Uint8Array> {
  using files = new UpperFiles(upper.root);
  const packer = new DiffPacker(upper, files, options.clamp);
  packer.root(root);
  const walk = compareUpper(upper, below, { strict: true });
  for await (const item of inSlices(upper.form === 'plain' ? withParents(walk) : walk, options)) {
    const large = packer.add(item);
    if (large !== undefined) {
      yield* packer.flush();
      yield* files.readChunks(large.path, large.sizeBytes, options.signal);
      packer.pad(large.sizeBytes);
    } else if (packer.pendingBytes >= chunkBytes) {
      yield* packer.flush();
    }
  }
  packer.end();
  yield* packer.flush();
}

class DiffPacker {
  readonly #upper: Upper;
  readonly #files: UpperFiles;
  readonly #clamp: TimeClamp | undefined;
  readonly #links = new Map<bigint, ByteString>();
  #pending: Uint8Array[] = [];
  pendingBytes = 0;

  constructor(upper: Upper, files: UpperFiles, clamp: TimeClamp | undefined) {
    this.#files = files;
    this.#clamp = clamp;
    this.#upper = upper;
  }

  /** The root has an entry only when its owner, mode or attributes were changed. */
  root(before: Attributes): void {
    const shown = readAttributes(this.#upper.root);
    const own = { ...shown, xattrs: withoutNotes(this.#upper, shown.xattrs) };
    if (rootKey(own) !== rootKey(before)) this.#header({ ...this.#dated(own), type: 'directory', path: './' });
    if (this.#upper.form !== 'plain' && isOpaque(this.#upper.root)) this.#header(whiteout(opaqueName));
  }

  /** Takes one item; answers a file too large to be read here, whose data is to follow. */
  add(item: Compared): { path: ByteString; sizeBytes: number } | undefined {
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
    this.#push(packHeader(entry));
  }

  #data(path: ByteString, sizeBytes: number): { path: ByteString; sizeBytes: number } | undefined {
    if (sizeBytes > smallFileBytes) return { path, sizeBytes };
    if (sizeBytes > 0) this.#push(this.#files.readWhole(path, sizeBytes));
    this.pad(sizeBytes);
    return undefined;
  }

  pad(sizeBytes: number): void {
    const zeros = packPadding(sizeBytes);
    if (zeros.length > 0) this.#push(zeros);
  }

  end(): void {
    this.#push(endOfArchive);
  }

  #push(bytes: Uint8Array): void {
    this.#pending.push(bytes);
    this.pendingBytes += bytes.length;
  }

  *flush(): Generator<Uint8Array> {
    if (this.pendingBytes === 0) return;
    yield Buffer.concat(this.#pending, this.pendingBytes);
    this.#pending = [];
    this.pendingBytes = 0;
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
