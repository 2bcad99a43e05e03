import type { ByteString } from '#archive';
import { EngineError } from '#errdefs';
import { type ChunkPlan, planChunks, wholeBlocks } from './chunks.ts';
import { directoryBytes, sortedNames } from './dirents.ts';
import {
  blockBytes,
  chunkIndexBytes,
  deviceSlotBytes,
  inodeBytes,
  layouts,
  nullBlock,
  slotBytes,
  superBytes,
  superOffset,
} from './format.ts';
import { type LayerTree, rootInode } from './tree.ts';
import type { DataRun, DataSource } from './types.ts';
import { xattrBytes } from './xattrs.ts';

/** Where everything of an index goes. Arrays are by inode number. */
export interface Layout {
  /** Inodes in the order they lie: a directory's children together. */
  readonly order: Uint32Array;
  readonly links: Uint32Array;
  /** Places in the index, in slots. */
  readonly nids: Uint32Array;
  readonly kinds: Uint8Array;
  /** First block of directory and symlink data that is not inline. */
  readonly startBlocks: Uint32Array;
  readonly plans: ReadonlyMap<number, ChunkPlan>;
  /** Blocks of the index itself, copied chunks included. */
  readonly primaryBlocks: number;
  /** First unified block of each device. */
  readonly deviceBlocks: ReadonlyMap<DataSource, number>;
}

export const deviceTableOffset = superOffset + superBytes;

/** The attributes of a directory as written: with the mark overlayfs looks for. */
export type XattrsOf = (inode: number) => ReadonlyMap<ByteString, Uint8Array> | undefined;

/** Decides the place of every inode and block. @throws `invalid-argument` beyond what 32-bit block numbers reach. */
export function planLayout(tree: LayerTree, devices: readonly DataSource[], xattrsOf: XattrsOf): Layout {
  const plan = new Planner(tree, devices, xattrsOf);
  plan.walk();
  plan.placeInodes(deviceTableOffset + devices.length * deviceSlotBytes);
  plan.placeBlocks();
  return plan.finish();
}

class Planner {
  readonly #tree: LayerTree;
  readonly #devices: readonly DataSource[];
  readonly #xattrsOf: XattrsOf;
  /** As far as {@link #met}. */
  readonly #order: Uint32Array;
  #met = 0;
  readonly #links: Uint32Array;
  readonly #nids: Uint32Array;
  readonly #kinds: Uint8Array;
  readonly #startBlocks: Uint32Array;
  readonly #plans = new Map<number, ChunkPlan>();
  #cursor = 0;
  #metaBytes = 0;

  constructor(tree: LayerTree, devices: readonly DataSource[], xattrsOf: XattrsOf) {
    const length = tree.inodes.count + 1;
    this.#tree = tree;
    this.#devices = devices;
    this.#xattrsOf = xattrsOf;
    this.#links = new Uint32Array(length);
    this.#order = new Uint32Array(length);
    this.#nids = new Uint32Array(length);
    this.#kinds = new Uint8Array(length);
    this.#startBlocks = new Uint32Array(length);
  }

  /** Breadth first; counts links as it goes. What was replaced while indexing is not reached. */
  walk(): void {
    const { directories, inodes } = this.#tree;
    this.#links[rootInode] = 2;
    this.#order[this.#met++] = rootInode;
    for (let at = 0; at < this.#met; at++) {
      const inode = this.#order[at]!;
      const directory = directories.get(inode);
      if (directory === undefined) continue;
      const names = sortedNames(directory.entries);
      inodes.sizeBytes[inode] = directoryBytes(names);
      for (const name of names) {
        const child = directory.entries.get(name);
        if (child !== undefined) this.#meet(inode, child);
      }
    }
  }

  get #inOrder(): Uint32Array {
    return this.#order.subarray(0, this.#met);
  }

  #meet(parent: number, child: number): void {
    if (this.#links[child] === 0) this.#order[this.#met++] = child;
    if (this.#tree.isDirectory(child)) {
      this.#links[child] = 2;
      this.#links[parent]!++;
    } else this.#links[child]!++;
  }

  placeInodes(start: number): void {
    this.#cursor = alignUp(start, slotBytes);
    for (const inode of this.#inOrder) this.#placeInode(inode);
  }

  #placeInode(inode: number): void {
    const bodyBytes = inodeBytes + xattrBytes(this.#xattrsOf(inode));
    const { inodes } = this.#tree;
    const runs = inodes.runs.get(inode) ?? this.#cutRuns(inode);
    if (runs !== undefined && inodes.sizeBytes[inode]! > 0) {
      const plan = planChunks(inodes.sizeBytes[inode]!, runs);
      this.#plans.set(inode, plan);
      this.#kinds[inode] = layouts.chunked;
      this.#take(inode, alignUp(bodyBytes, chunkIndexBytes) + plan.count * chunkIndexBytes, 0);
      return;
    }
    const tailBytes = this.#hasOwnData(inode) ? inodes.sizeBytes[inode]! % blockBytes : 0;
    const isInline = tailBytes > 0 && this.#take(inode, bodyBytes, tailBytes);
    this.#kinds[inode] = isInline ? layouts.inline : layouts.plain;
    if (!isInline) this.#take(inode, bodyBytes, 0);
  }

  /** A tar may end inside its last block, which no device then has whole: the file that reaches into it is cut there. */
  #cutRuns(inode: number): readonly DataRun[] | undefined {
    const { data, device, sizeBytes } = this.#tree.inodes;
    const source = this.#devices[device[inode]! - 1];
    if (source === undefined) return undefined;
    const wholeBytes = wholeBlocks(source);
    const start = data[inode]!;
    const length = sizeBytes[inode]!;
    if (start + length <= wholeBytes || wholeBytes === source.sizeBytes) return undefined;
    const cut = wholeBytes - start;
    const runs = [
      { offset: 0, lengthBytes: cut, source, sourceOffset: start },
      { offset: cut, lengthBytes: length - cut, source, sourceOffset: wholeBytes },
    ];
    return runs.filter((run) => run.lengthBytes > 0);
  }

  /** Directories and symlinks: their data is in the index. */
  #hasOwnData(inode: number): boolean {
    return this.#tree.isDirectory(inode) || this.#tree.inodes.links.has(inode);
  }

  /**
   * Places an inode at the cursor, or a little later: it must not straddle a block, nor may inline data. Answers false when no place
   * in the next block fits the data.
   */
  #take(inode: number, bodyBytes: number, tailBytes: number): boolean {
    for (let at = this.#cursor; at < this.#cursor + blockBytes; at += slotBytes) {
      if ((at % blockBytes) + inodeBytes > blockBytes) continue;
      if (tailBytes > 0 && ((at + bodyBytes) % blockBytes) + tailBytes > blockBytes) continue;
      this.#nids[inode] = at / slotBytes;
      this.#cursor = alignUp(at + bodyBytes + tailBytes, slotBytes);
      return true;
    }
    return false;
  }

  /** Whole blocks of directories and long symlinks lie behind the inodes. */
  placeBlocks(): void {
    let block = Math.ceil(this.#cursor / blockBytes);
    for (const inode of this.#inOrder) {
      if (!this.#hasOwnData(inode)) continue;
      const sizeBytes = this.#tree.inodes.sizeBytes[inode]!;
      const count =
        this.#kinds[inode] === layouts.inline ? Math.floor(sizeBytes / blockBytes) : Math.ceil(sizeBytes / blockBytes);
      this.#startBlocks[inode] = block;
      block += count;
    }
    this.#metaBytes = block * blockBytes;
  }

  finish(): Layout {
    let block = this.#metaBytes / blockBytes;
    for (const [inode, plan] of this.#plans) {
      this.#startBlocks[inode] = block;
      block += copiedChunks(plan) * (plan.chunkBytes / blockBytes);
    }
    const primaryBlocks = block;
    const deviceBlocks = new Map<DataSource, number>();
    for (const device of this.#devices) {
      deviceBlocks.set(device, block);
      block += Math.ceil(device.sizeBytes / blockBytes);
    }
    if (block >= nullBlock) throw new EngineError('invalid-argument', 'layer: tars beyond 2 TiB cannot be indexed');
    return {
      order: this.#inOrder,
      links: this.#links,
      nids: this.#nids,
      kinds: this.#kinds,
      startBlocks: this.#startBlocks,
      plans: this.#plans,
      primaryBlocks,
      deviceBlocks,
    };
  }
}

export function copiedChunks(plan: ChunkPlan): number {
  return plan.chunks.filter((chunk) => 'copy' in chunk).length;
}

export function alignUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
