import type { ByteString } from '#archive';
import { modes, modeType } from './format.ts';
import type { InodeFields, InodeTable } from './inodes.ts';
import { refuseEntry } from './paths.ts';
import type { DataRun, DataSource, InodeAttributes, LowerInode } from './types.ts';

/** Makes inodes of one index from those of others; their tars become devices of the new one. */
export class InodeCopier {
  readonly #inodes: InodeTable;
  readonly #devices: DataSource[];

  constructor(inodes: InodeTable, devices: DataSource[]) {
    this.#inodes = inodes;
    this.#devices = devices;
  }

  copy(lower: LowerInode): number {
    const inode = this.#inodes.add(fieldsOf(lower));
    this.attributes(inode, lower);
    if (lower.type === 'symlink') setLink(this.#inodes, inode, lower.linkPath, lower.linkPath);
    else if (lower.type === 'char' || lower.type === 'block')
      this.#inodes.data[inode] = encodeDevice(lower.devMajor, lower.devMinor, '');
    else if (lower.type === 'file') this.#data(inode, lower);
    return inode;
  }

  /** Owner, mode, time and extended attributes onto an inode that exists. */
  attributes(inode: number, lower: InodeAttributes): void {
    this.#inodes.set(inode, fieldsOf(lower));
    if (lower.xattrs.size > 0) this.#inodes.xattrs.set(inode, lower.xattrs);
  }

  #data(inode: number, lower: LowerInode): void {
    const runs = lower.runs.map((run) => ({ ...run, source: this.#device(run) }));
    this.#inodes.sizeBytes[inode] = lower.sizeBytes;
    const [run] = runs;
    if (runs.length !== 1 || run!.lengthBytes !== lower.sizeBytes || run!.source.tag === '') {
      this.#inodes.runs.set(inode, runs);
      return;
    }
    this.#inodes.data[inode] = run!.sourceOffset;
    this.#inodes.device[inode] = this.#devices.indexOf(run!.source) + 1;
  }

  /** One entry in the device table per tag. */
  #device(run: DataRun): DataSource {
    if (run.source.tag === '') return run.source;
    const known = this.#devices.find((device) => device.tag === run.source.tag);
    if (known) return known;
    this.#devices.push(run.source);
    return run.source;
  }
}

export function setLink(inodes: InodeTable, inode: number, target: ByteString, path: ByteString): void {
  if (target === '' || target.length > 4095) refuseEntry(path, 'a symbolic link target no filesystem takes');
  inodes.links.set(inode, target);
  inodes.sizeBytes[inode] = target.length;
}

export function fieldsOf(inode: InodeAttributes): InodeFields {
  const { mode, uid, gid, mtime } = inode;
  return {
    mode: modes[inode.type] | (mode & ~modeType),
    uid,
    gid,
    mtimeSec: mtime.sec,
    mtimeNsec: mtime.nsec,
  };
}

/** Linux' dev_t as the kernel keeps it on disk: 12 bits of major, 20 of minor. */
export function encodeDevice(major: number, minor: number, path: ByteString): number {
  if (major < 0 || minor < 0 || major > 0xfff || minor > 0xfffff) refuseEntry(path, 'a device number out of range');
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}
