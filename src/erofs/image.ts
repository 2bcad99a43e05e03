import { closeSync, openSync } from 'node:fs';
import type { ByteString } from '#archive';
import { EngineError } from '#errdefs';
import { type Dirent, readBlock } from './dirents.ts';
import {
  blockBits,
  blockBytes,
  chunkIndexBytes,
  deviceSlotBytes,
  inodeBytes,
  knownIncompat,
  layouts,
  magic,
  modes,
  modeType,
  nullBlock,
  opaqueXattr,
  slotBytes,
  superBytes,
  superOffset,
  tagBytes,
  xattrHeaderBytes,
} from './format.ts';
import type { InodeAttributes, InodeType } from './types.ts';
import { FileWindow } from './window.ts';
import { superChecksum } from './writer.ts';
import { readXattrs } from './xattrs.ts';

/** An inode of an index; `nid` names it within the index. */
export interface IndexInode extends InodeAttributes {
  readonly nid: number;
  readonly links: number;
}

export interface IndexDevice {
  readonly tag: string;
  readonly sizeBytes: number;
  readonly startBlock: number;
}

/** File data: `device` 0 is the index itself, else a device counted from 1. */
export interface IndexRun {
  readonly offset: number;
  readonly lengthBytes: number;
  readonly device: number;
  readonly deviceOffset: number;
}

export interface WalkedInode {
  /** Relative to the root, without slashes at either end; '' is the root. */
  readonly path: ByteString;
  readonly inode: IndexInode;
}

const typeOfMode = new Map<number, InodeType>(Object.entries(modes).map(([type, mode]) => [mode, type as InodeType]));

/** Reads an index this module wrote: no mount, no device. Every method throws `data-loss` when the file is malformed. */
export class IndexFile implements Disposable {
  readonly devices: readonly IndexDevice[];
  readonly inodeCount: number;
  readonly #fd: number;
  readonly #window: FileWindow;
  readonly #rootNid: number;

  private constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#window = new FileWindow(fd);
    const head = Buffer.from(this.#window.read(0, superOffset + blockBytes));
    const at = superOffset;
    const isOurs =
      head.readUInt32LE(at) === magic &&
      head[at + 12] === blockBits &&
      (head.readUInt32LE(at + 80) & ~knownIncompat) === 0 &&
      head.readUInt32LE(at + 4) === superChecksum(head);
    if (!isOurs) throw new EngineError('data-loss', `read index ${path}: not an index, or a broken one`);
    this.#rootNid = head.readUInt16LE(at + 14);
    this.inodeCount = head.readUInt32LE(at + 16);
    this.devices = this.#readDevices(head.readUInt16LE(at + 86));
  }

  /** The caller disposes it. @throws `data-loss` for anything but a whole index; Node's own error when the file is not there. */
  static open(path: string): IndexFile {
    const fd = openSync(path, 'r');
    try {
      return new IndexFile(fd, path);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  get root(): IndexInode {
    return this.inode(this.#rootNid);
  }

  inode(nid: number): IndexInode {
    const at = nid * slotBytes;
    const raw = Buffer.from(this.#window.read(at, inodeBytes));
    if ((raw.readUInt16LE(0) & 1) === 0) throw malformed('inode');
    const mode = raw.readUInt16LE(4);
    const type = typeOfMode.get(mode & modeType);
    if (type === undefined) throw malformed('inode');
    const isDevice = type === 'char' || type === 'block';
    const number = isDevice ? raw.readUInt32LE(16) : 0;
    const sizeBytes = read64(raw, 8);
    return {
      nid,
      type,
      mode: mode & 0o7777,
      uid: raw.readUInt32LE(24),
      gid: raw.readUInt32LE(28),
      mtime: { sec: read64(raw, 32), nsec: raw.readUInt32LE(40) },
      sizeBytes: type === 'file' || type === 'symlink' ? sizeBytes : 0,
      devMajor: (number >>> 8) & 0xfff,
      devMinor: (number & 0xff) | ((number >>> 12) & 0xfff00),
      links: raw.readUInt32LE(44),
      linkPath: type === 'symlink' ? this.#ownData(nid, raw, sizeBytes).toString('latin1') : '',
      xattrs: this.#xattrs(at, raw),
    };
  }

  /** Entries of a directory in byte order, without `.` and `..`. */
  *entries(directory: IndexInode): Generator<Dirent> {
    const raw = Buffer.from(this.#window.read(directory.nid * slotBytes, inodeBytes));
    const sizeBytes = read64(raw, 8);
    for (let at = 0; at < sizeBytes; at += blockBytes)
      for (const dirent of this.#direntBlock(directory.nid, raw, at, sizeBytes))
        if (dirent.name !== '.' && dirent.name !== '..') yield dirent;
  }

  /** One name in a directory, found by binary search over its blocks. */
  lookup(directory: IndexInode, name: ByteString): IndexInode | undefined {
    if (directory.type !== 'directory') return undefined;
    const raw = Buffer.from(this.#window.read(directory.nid * slotBytes, inodeBytes));
    const sizeBytes = read64(raw, 8);
    let low = 0;
    let high = Math.ceil(sizeBytes / blockBytes) - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const first = this.#direntBlock(directory.nid, raw, middle * blockBytes, sizeBytes)[0]!;
      if (first.name <= name) low = middle;
      else high = middle - 1;
    }
    const block = this.#direntBlock(directory.nid, raw, low * blockBytes, sizeBytes);
    const found = block.find((dirent) => dirent.name === name);
    return found && this.inode(found.nid);
  }

  /** The inode at a clean relative path, symlinks not followed. */
  find(path: ByteString): IndexInode | undefined {
    let inode: IndexInode | undefined = this.root;
    for (const name of path === '' ? [] : path.split('/')) inode = inode && this.lookup(inode, name);
    return inode;
  }

  /** Every path, directories before what is in them, names in byte order. Hardlinks appear once per name, with the same nid. */
  *walk(): Generator<WalkedInode> {
    yield { path: '', inode: this.root };
    const open = [{ path: '', entries: this.entries(this.root) }];
    for (let at = open.at(-1); at !== undefined; at = open.at(-1)) {
      const next = at.entries.next();
      if (next.done) {
        open.pop();
        continue;
      }
      const path = at.path === '' ? next.value.name : `${at.path}/${next.value.name}`;
      const inode = this.inode(next.value.nid);
      yield { path, inode };
      if (inode.type === 'directory') open.push({ path, entries: this.entries(inode) });
    }
  }

  /** Where a file's data is, ordered; neighbours that continue each other are joined. Holes have no run. */
  runs(file: IndexInode): IndexRun[] {
    if (file.type !== 'file' || file.sizeBytes === 0) return [];
    const at = file.nid * slotBytes;
    const raw = Buffer.from(this.#window.read(at, inodeBytes));
    const start = raw.readUInt32LE(16);
    if (layoutOf(raw) !== layouts.chunked) return [{ offset: 0, lengthBytes: file.sizeBytes, ...this.#locate(start) }];
    return this.#chunkRuns(file, at + inodeBytes + areaBytesOf(raw), start & 0x1f);
  }

  /** Bytes of the index itself, for runs of device 0. */
  read(target: Buffer, offset: number): void {
    for (let done = 0; done < target.length; ) {
      const part = this.#window.read(offset + done, Math.min(target.length - done, 1 << 16));
      target.set(part, done);
      done += part.length;
    }
  }

  #readDevices(count: number): IndexDevice[] {
    return Array.from({ length: count }, (_, i) => {
      const slot = this.#window.read(superOffset + superBytes + i * deviceSlotBytes, deviceSlotBytes);
      const tag = slot.toString('latin1', 0, tagBytes).replace(/\0+$/, '');
      const sizeBytes = slot.readUInt32LE(tagBytes) * blockBytes;
      return { tag, sizeBytes, startBlock: slot.readUInt32LE(tagBytes + 4) };
    });
  }

  #direntBlock(nid: number, raw: Buffer, at: number, sizeBytes: number): Dirent[] {
    const lengthBytes = Math.min(blockBytes, sizeBytes - at);
    return readBlock(this.#window.read(this.#dataOffset(nid, raw, at, sizeBytes), lengthBytes));
  }

  /** Where byte `at` of a directory or symlink lies. */
  #dataOffset(nid: number, raw: Buffer, at: number, sizeBytes: number): number {
    const tailStart = sizeBytes - (sizeBytes % blockBytes);
    if (layoutOf(raw) === layouts.inline && at >= tailStart)
      return nid * slotBytes + inodeBytes + areaBytesOf(raw) + at - tailStart;
    return raw.readUInt32LE(16) * blockBytes + at;
  }

  #ownData(nid: number, raw: Buffer, sizeBytes: number): Buffer {
    if (sizeBytes > 4096) throw malformed('symbolic link');
    const parts: Buffer[] = [];
    for (let at = 0; at < sizeBytes; at += blockBytes) {
      const lengthBytes = Math.min(blockBytes, sizeBytes - at);
      parts.push(Buffer.from(this.#window.read(this.#dataOffset(nid, raw, at, sizeBytes), lengthBytes)));
    }
    return Buffer.concat(parts);
  }

  #xattrs(at: number, raw: Buffer): Map<ByteString, Uint8Array> {
    const areaBytes = areaBytesOf(raw);
    return areaBytes === 0 ? new Map() : readXattrs(Buffer.from(this.#window.read(at + inodeBytes, areaBytes)));
  }

  #chunkRuns(file: IndexInode, bodyEnd: number, shift: number): IndexRun[] {
    const chunkBytes = blockBytes * 2 ** shift;
    const map = Math.ceil(bodyEnd / chunkIndexBytes) * chunkIndexBytes;
    const runs: IndexRun[] = [];
    for (let offset = 0, at = map; offset < file.sizeBytes; offset += chunkBytes, at += chunkIndexBytes) {
      const entry = this.#window.read(at, chunkIndexBytes);
      const block = entry.readUInt32LE(4);
      if (block === nullBlock) continue;
      const device = entry.readUInt16LE(2);
      const lengthBytes = Math.min(chunkBytes, file.sizeBytes - offset);
      append(runs, { offset, lengthBytes, device, deviceOffset: block * blockBytes });
    }
    return runs;
  }

  /** A unified block number as a device and an offset in it. */
  #locate(block: number): { device: number; deviceOffset: number } {
    const device = this.devices.findLastIndex(({ startBlock }) => startBlock <= block);
    const startBlock = this.devices[device]?.startBlock ?? 0;
    return { device: device + 1, deviceOffset: (block - startBlock) * blockBytes };
  }
}

function append(runs: IndexRun[], run: IndexRun): void {
  const last = runs.at(-1);
  const continues =
    last !== undefined &&
    last.device === run.device &&
    last.offset + last.lengthBytes === run.offset &&
    last.deviceOffset + last.lengthBytes === run.deviceOffset;
  if (continues) runs[runs.length - 1] = { ...last, lengthBytes: last.lengthBytes + run.lengthBytes };
  else runs.push(run);
}

function layoutOf(raw: Buffer): number {
  return (raw.readUInt16LE(0) >> 1) & 7;
}

function areaBytesOf(raw: Buffer): number {
  const count = raw.readUInt16LE(2);
  return count === 0 ? 0 : xattrHeaderBytes + 4 * (count - 1);
}

function read64(raw: Buffer, at: number): number {
  return raw.readInt32LE(at + 4) * 2 ** 32 + raw.readUInt32LE(at);
}

function malformed(what: string): EngineError {
  return new EngineError('data-loss', `read index: malformed ${what}`);
}

/** The index's form of "nothing here": hides what lower layers have at the path. */
export function isWhiteout(inode: InodeAttributes): boolean {
  return inode.type === 'char' && inode.devMajor === 0 && inode.devMinor === 0;
}

/** A directory that hides what lower layers have below it. */
export function isOpaque(inode: InodeAttributes): boolean {
  return inode.xattrs.get(opaqueXattr)?.[0] === 0x79;
}
