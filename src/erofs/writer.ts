import { ftruncateSync } from 'node:fs';
import type { ChunkPlan } from './chunks.ts';
import { crc32c } from './crc32c.ts';
import { type Dirent, sortedNames, writeDirectory } from './dirents.ts';
import {
  blockBits,
  blockBytes,
  chunkFormatIndexes,
  chunkIndexBytes,
  compatChecksum,
  compatMtime,
  deviceSlotBytes,
  direntTypes,
  incompatChunkedFile,
  incompatDeviceTable,
  inodeBytes,
  layouts,
  magic,
  modes,
  modeType,
  nullBlock,
  opaqueXattr,
  slotBytes,
  superOffset,
  tagBytes,
} from './format.ts';
import { alignUp, deviceTableOffset, type Layout, planLayout, type XattrsOf } from './layout.ts';
import { GatheredWrites, writeFully } from './output.ts';
import { type LayerTree, rootInode } from './tree.ts';
import type { DataRun, DataSource } from './types.ts';
import { encodeXattrs, xattrBytes, xattrCount } from './xattrs.ts';

/** A finished index. */
export interface IndexImage {
  readonly sizeBytes: number;
  /** Tags of the devices it must be mounted with, in order; the first is the layer's own tar. */
  readonly devices: readonly string[];
  readonly inodes: number;
  /** Writes it to an empty file, which may get holes. Not synced. */
  writeTo(fd: number): void;
}

interface Copy {
  readonly offset: number;
  readonly run: DataRun;
}

/** Files, and the devices their data is on. */
export interface IndexContents {
  readonly tree: LayerTree;
  readonly devices: readonly DataSource[];
}

/**
 * Plans the index of what the indexer gathered; call after its `finish`, when the sources' tags and sizes are known. It is encoded as it
 * is written, so that it is never in memory whole. The same layer gives the same bytes. @throws `invalid-argument` for what EROFS cannot
 * describe.
 */
export function encodeIndex({ tree, devices }: IndexContents): IndexImage {
  const xattrsOf = attributesOf(tree);
  const layout = planLayout(tree, devices, xattrsOf);
  const sizeBytes = layout.primaryBlocks * blockBytes;
  return {
    sizeBytes,
    devices: devices.map((device) => device.tag),
    inodes: layout.order.length,
    writeTo(fd) {
      const encoder = new Encoder(fd, tree, layout, xattrsOf);
      for (const inode of layout.order) encoder.inode(inode);
      encoder.finish(devices);
      ftruncateSync(fd, sizeBytes);
    },
  };
}

function attributesOf(tree: LayerTree): XattrsOf {
  return (inode) => {
    const xattrs = tree.inodes.xattrs.get(inode);
    if (!tree.directories.get(inode)?.opaque) return xattrs;
    return new Map([...(xattrs ?? []), [opaqueXattr, Buffer.from('y')]]);
  };
}

/** Up to here an index is kept until the end: the superblock's checksum is over what lies around it. */
const headBytes = superOffset + blockBytes;

class Encoder {
  readonly #fd: number;
  readonly #tree: LayerTree;
  readonly #layout: Layout;
  readonly #xattrsOf: XattrsOf;
  readonly #deviceStarts: readonly number[];
  readonly #head = Buffer.alloc(headBytes);
  /** Inodes, and blocks behind them: each lie in the order in which they are met. */
  readonly #inodes: GatheredWrites;
  readonly #blocks: GatheredWrites;
  readonly #fieldBytes = Buffer.alloc(inodeBytes);

  constructor(fd: number, tree: LayerTree, layout: Layout, xattrsOf: XattrsOf) {
    this.#fd = fd;
    this.#tree = tree;
    this.#layout = layout;
    this.#xattrsOf = xattrsOf;
    this.#deviceStarts = [...layout.deviceBlocks.values()];
    this.#inodes = new GatheredWrites(fd);
    this.#blocks = new GatheredWrites(fd);
  }

  inode(inode: number): void {
    const at = this.#layout.nids[inode]! * slotBytes;
    const xattrs = this.#xattrsOf(inode);
    const areaBytes = xattrBytes(xattrs);
    this.#put(at, this.#fields(inode, areaBytes));
    if (xattrs !== undefined && areaBytes > 0) this.#put(at + inodeBytes, encodeXattrs(xattrs, areaBytes));
    const bodyEnd = at + inodeBytes + areaBytes;
    const link = this.#tree.inodes.links.get(inode);
    const plan = this.#layout.plans.get(inode);
    if (this.#tree.isDirectory(inode)) this.#data(inode, bodyEnd, this.#directory(inode));
    else if (link !== undefined) this.#data(inode, bodyEnd, Buffer.from(link, 'latin1'));
    else if (plan !== undefined) this.#put(alignUp(bodyEnd, chunkIndexBytes), this.#chunkMap(inode, plan));
  }

  /** The superblock comes last: its checksum is over what is in the first block behind it as well. */
  finish(devices: readonly DataSource[]): void {
    this.#put(deviceTableOffset, encodeDevices(this.#layout, devices));
    this.#inodes.flush();
    this.#blocks.flush();
    writeSuper(this.#head, this.#layout, devices.length);
    writeFully(this.#fd, this.#head, 0);
  }

  #put(at: number, bytes: Buffer): void {
    if (at < headBytes) bytes.copy(this.#head, at, 0, headBytes - at);
    this.#inodes.write(at, bytes);
  }

  #fields(inode: number, areaBytes: number): Buffer {
    const target = this.#fieldBytes;
    const { inodes } = this.#tree;
    target.writeUInt16LE(1 | (this.#layout.kinds[inode]! << 1), 0);
    target.writeUInt16LE(xattrCount(areaBytes), 2);
    target.writeUInt16LE(inodes.mode[inode]!, 4);
    write64(target, 8, inodes.sizeBytes[inode]!);
    target.writeUInt32LE(this.#location(inode), 16);
    target.writeUInt32LE(inode, 20);
    target.writeUInt32LE(inodes.uid[inode]!, 24);
    target.writeUInt32LE(inodes.gid[inode]!, 28);
    write64(target, 32, inodes.mtimeSec[inode]!);
    target.writeUInt32LE(inodes.mtimeNsec[inode]!, 40);
    target.writeUInt32LE(this.#layout.links[inode]!, 44);
    return target;
  }

  /** i_u: what it holds depends on the kind of inode. */
  #location(inode: number): number {
    const { inodes } = this.#tree;
    const { startBlocks, plans } = this.#layout;
    const type = inodes.mode[inode]! & modeType;
    if (type === modes.char || type === modes.block) return inodes.data[inode]!;
    if (type === modes.directory || type === modes.symlink) return startBlocks[inode]!;
    const plan = plans.get(inode);
    if (plan !== undefined) return chunkFormatIndexes | plan.shift;
    const device = inodes.device[inode]!;
    if (device === 0 || inodes.sizeBytes[inode] === 0) return 0;
    return this.#deviceStarts[device - 1]! + inodes.data[inode]! / blockBytes;
  }

  #directory(inode: number): Buffer {
    const { inodes, directories } = this.#tree;
    const { entries, parent } = directories.get(inode)!;
    // Sorted a second time: kept from the first, the names of all directories would be a tenth of what a layer takes.
    const dirents: Dirent[] = sortedNames(entries).map((name) => {
      const child = name === '.' ? inode : name === '..' ? parent : entries.get(name)!;
      const type = direntTypes[inodes.mode[child]! >> 12]!;
      return { name, nid: this.#layout.nids[child]!, type };
    });
    const blocks = Buffer.alloc(inodes.sizeBytes[inode]!);
    writeDirectory(blocks, 0, dirents);
    return blocks;
  }

  /** Whole blocks at the start block, what is left behind the inode when the layout says inline. */
  #data(inode: number, bodyEnd: number, data: Buffer): void {
    const isInline = this.#layout.kinds[inode] === layouts.inline;
    const whole = isInline ? data.length - (data.length % blockBytes) : data.length;
    if (whole > 0) this.#blocks.write(this.#layout.startBlocks[inode]! * blockBytes, data.subarray(0, whole));
    if (whole < data.length) this.#put(bodyEnd, data.subarray(whole));
  }

  /** Chunks that cannot be pointed at are copied as the map that names them is made. */
  #chunkMap(inode: number, plan: ChunkPlan): Buffer {
    const map = Buffer.alloc(plan.count * chunkIndexBytes);
    for (let i = 0; i < plan.count; i++) map.writeUInt32LE(nullBlock, i * chunkIndexBytes + 4);
    let copyBlock = this.#layout.startBlocks[inode]!;
    const devices = [...this.#layout.deviceBlocks.keys()];
    for (const chunk of plan.chunks) {
      const entry = chunk.number * chunkIndexBytes;
      if ('copy' in chunk) {
        map.writeUInt32LE(copyBlock, entry + 4);
        const start = copyBlock * blockBytes - chunk.number * plan.chunkBytes;
        for (const run of chunk.copy) writeCopy(this.#fd, { offset: start + run.offset, run });
        copyBlock += plan.chunkBytes / blockBytes;
      } else {
        map.writeUInt16LE(devices.indexOf(chunk.source) + 1, entry + 2);
        map.writeUInt32LE(chunk.sourceBlock, entry + 4);
      }
    }
    return map;
  }
}

function write64(target: Buffer, at: number, value: number): void {
  const high = Math.floor(value / 2 ** 32);
  target.writeUInt32LE(value - high * 2 ** 32, at);
  target.writeInt32LE(high, at + 4);
}

function encodeDevices(layout: Layout, devices: readonly DataSource[]): Buffer {
  const table = Buffer.alloc(devices.length * deviceSlotBytes);
  devices.forEach((device, i) => {
    const at = i * deviceSlotBytes;
    table.write(device.tag, at, tagBytes, 'latin1');
    table.writeUInt32LE(Math.ceil(device.sizeBytes / blockBytes), at + tagBytes);
    table.writeUInt32LE(layout.deviceBlocks.get(device)!, at + tagBytes + 4);
  });
  return table;
}

function writeSuper(target: Buffer, layout: Layout, deviceCount: number): void {
  const at = superOffset;
  target.writeUInt32LE(magic, at);
  target.writeUInt32LE(compatChecksum | compatMtime, at + 8);
  target[at + 12] = blockBits;
  target.writeUInt16LE(layout.nids[rootInode]!, at + 14);
  write64(target, at + 16, layout.order.length);
  target.writeUInt32LE(layout.primaryBlocks, at + 36);
  const chunked = layout.plans.size > 0 ? incompatChunkedFile : 0;
  target.writeUInt32LE(incompatDeviceTable | chunked, at + 80);
  target.writeUInt16LE(deviceCount, at + 86);
  target.writeUInt16LE(deviceTableOffset / deviceSlotBytes, at + 88);
  target.writeUInt32LE(superChecksum(target), at + 4);
}

/** Over the block's worth of bytes from the superblock on, its own field zero. */
export function superChecksum(image: Buffer): number {
  const block = Buffer.from(image.subarray(superOffset, superOffset + blockBytes));
  block.writeUInt32LE(0, 4);
  return crc32c(0xffffffff, block);
}

const copyBytes = 1 << 20;

function writeCopy(fd: number, { offset, run }: Copy): void {
  for (let done = 0; done < run.lengthBytes; done += copyBytes) {
    const part = Buffer.alloc(Math.min(copyBytes, run.lengthBytes - done));
    run.source.read(part, run.sourceOffset + done);
    writeFully(fd, part, offset + done);
  }
}
