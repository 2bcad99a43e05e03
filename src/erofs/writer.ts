import { ftruncateSync, writeSync } from 'node:fs';
import type { ChunkPlan } from './chunks.ts';
import { crc32c } from './crc32c.ts';
import { type Dirent, writeDirectory } from './dirents.ts';
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
import { type LayerTree, rootInode } from './tree.ts';
import type { DataRun, DataSource } from './types.ts';
import { writeXattrs, xattrBytes, xattrCount } from './xattrs.ts';

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
 * Encodes what the indexer gathered; call after its `finish`, when the sources' tags and sizes are known. The same layer
 * gives the same bytes. @throws `invalid-argument` for what EROFS cannot describe.
 */
export function encodeIndex({ tree, devices }: IndexContents): IndexImage {
  const xattrsOf = attributesOf(tree);
  const layout = planLayout(tree, devices, xattrsOf);
  const encoder = new Encoder(tree, layout, xattrsOf);
  for (const inode of layout.order) encoder.inode(inode);
  const { target, copies } = encoder;
  writeDevices(target, layout, devices);
  writeSuper(target, layout, devices.length);
  return {
    sizeBytes: layout.primaryBlocks * blockBytes,
    devices: devices.map((device) => device.tag),
    inodes: layout.order.length,
    writeTo(fd) {
      writeFully(fd, target, 0);
      for (const copy of copies) writeCopy(fd, copy);
      ftruncateSync(fd, layout.primaryBlocks * blockBytes);
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

class Encoder {
  readonly target: Buffer;
  readonly copies: Copy[] = [];
  readonly #tree: LayerTree;
  readonly #layout: Layout;
  readonly #xattrsOf: XattrsOf;
  readonly #deviceStarts: readonly number[];

  constructor(tree: LayerTree, layout: Layout, xattrsOf: XattrsOf) {
    this.#tree = tree;
    this.#layout = layout;
    this.#xattrsOf = xattrsOf;
    this.#deviceStarts = [...layout.deviceBlocks.values()];
    this.target = Buffer.alloc(layout.metaBytes);
  }

  inode(inode: number): void {
    const { target } = this;
    const at = this.#layout.offsets[inode]!;
    const xattrs = this.#xattrsOf(inode);
    const areaBytes = xattrBytes(xattrs);
    this.#fields(inode, at, areaBytes);
    if (xattrs !== undefined && areaBytes > 0) writeXattrs(target, at + inodeBytes, xattrs);
    const bodyEnd = at + inodeBytes + areaBytes;
    const link = this.#tree.inodes.links.get(inode);
    const plan = this.#layout.plans.get(inode);
    if (this.#tree.isDirectory(inode)) this.#data(inode, bodyEnd, this.#directory(inode));
    else if (link !== undefined) this.#data(inode, bodyEnd, Buffer.from(link, 'latin1'));
    else if (plan !== undefined) this.#chunkMap(inode, alignUp(bodyEnd, chunkIndexBytes), plan);
  }

  #fields(inode: number, at: number, areaBytes: number): void {
    const { target } = this;
    const { inodes } = this.#tree;
    target.writeUInt16LE(1 | (this.#layout.kinds[inode]! << 1), at);
    target.writeUInt16LE(xattrCount(areaBytes), at + 2);
    target.writeUInt16LE(inodes.mode[inode]!, at + 4);
    write64(target, at + 8, inodes.sizeBytes[inode]!);
    target.writeUInt32LE(this.#location(inode), at + 16);
    target.writeUInt32LE(inode, at + 20);
    target.writeUInt32LE(inodes.uid[inode]!, at + 24);
    target.writeUInt32LE(inodes.gid[inode]!, at + 28);
    write64(target, at + 32, inodes.mtimeSec[inode]!);
    target.writeUInt32LE(inodes.mtimeNsec[inode]!, at + 40);
    target.writeUInt32LE(this.#layout.links[inode]!, at + 44);
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
    const dirents: Dirent[] = this.#layout.names.get(inode)!.map((name) => {
      const child = name === '.' ? inode : name === '..' ? parent : entries.get(name)!;
      const type = direntTypes[inodes.mode[child]! >> 12]!;
      return { name, nid: this.#layout.offsets[child]! / slotBytes, type };
    });
    const blocks = Buffer.alloc(inodes.sizeBytes[inode]!);
    writeDirectory(blocks, 0, dirents);
    return blocks;
  }

  /** Whole blocks at the start block, what is left behind the inode when the layout says inline. */
  #data(inode: number, bodyEnd: number, data: Buffer): void {
    const isInline = this.#layout.kinds[inode] === layouts.inline;
    const whole = isInline ? data.length - (data.length % blockBytes) : data.length;
    data.copy(this.target, this.#layout.startBlocks[inode]! * blockBytes, 0, whole);
    data.copy(this.target, bodyEnd, whole);
  }

  #chunkMap(inode: number, at: number, plan: ChunkPlan): void {
    const { target } = this;
    for (let i = 0; i < plan.count; i++) target.writeUInt32LE(nullBlock, at + i * chunkIndexBytes + 4);
    let copyBlock = this.#layout.startBlocks[inode]!;
    const devices = [...this.#layout.deviceBlocks.keys()];
    for (const chunk of plan.chunks) {
      const entry = at + chunk.number * chunkIndexBytes;
      if ('copy' in chunk) {
        target.writeUInt32LE(copyBlock, entry + 4);
        const start = copyBlock * blockBytes - chunk.number * plan.chunkBytes;
        for (const run of chunk.copy) this.copies.push({ offset: start + run.offset, run });
        copyBlock += plan.chunkBytes / blockBytes;
      } else {
        target.writeUInt16LE(devices.indexOf(chunk.source) + 1, entry + 2);
        target.writeUInt32LE(chunk.sourceBlock, entry + 4);
      }
    }
  }
}

function write64(target: Buffer, at: number, value: number): void {
  const high = Math.floor(value / 2 ** 32);
  target.writeUInt32LE(value - high * 2 ** 32, at);
  target.writeInt32LE(high, at + 4);
}

function writeDevices(target: Buffer, layout: Layout, devices: readonly DataSource[]): void {
  devices.forEach((device, i) => {
    const at = deviceTableOffset + i * deviceSlotBytes;
    target.write(device.tag, at, tagBytes, 'latin1');
    target.writeUInt32LE(Math.ceil(device.sizeBytes / blockBytes), at + tagBytes);
    target.writeUInt32LE(layout.deviceBlocks.get(device)!, at + tagBytes + 4);
  });
}

function writeSuper(target: Buffer, layout: Layout, deviceCount: number): void {
  const at = superOffset;
  target.writeUInt32LE(magic, at);
  target.writeUInt32LE(compatChecksum | compatMtime, at + 8);
  target[at + 12] = blockBits;
  target.writeUInt16LE(layout.offsets[rootInode]! / slotBytes, at + 14);
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

function writeFully(fd: number, bytes: Buffer, offset: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
}
