import type { ByteString } from '#archive';
import { EngineError } from '#errdefs';
import type { DataRun } from './types.ts';
import type { Xattrs } from './xattrs.ts';

/** What is common to every inode while an index is being built. */
export interface InodeFields {
  /** With type bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
}

/** About 100 bytes each with its name: what a layer may ask of memory. */
const maxInodes = 1 << 23;

/**
 * Inodes by number, from 1, held in columns: a layer of a million files costs tens of megabytes, not hundreds.
 * Rare things (links, attributes, sparse data) are in maps beside them.
 */
export class InodeTable {
  count = 0;
  mode = new Uint32Array(1024);
  uid = new Uint32Array(1024);
  gid = new Uint32Array(1024);
  mtimeSec = new Float64Array(1024);
  mtimeNsec = new Uint32Array(1024);
  sizeBytes = new Float64Array(1024);
  /** Files: first byte in their device; devices: the encoded number. */
  data = new Float64Array(1024);
  /** Files with contiguous data: number of their device, from 1. */
  device = new Uint16Array(1024);
  readonly links = new Map<number, ByteString>();
  readonly xattrs = new Map<number, Xattrs>();
  /** Files with holes. */
  readonly runs = new Map<number, readonly DataRun[]>();

  add(fields: InodeFields): number {
    if (this.count >= maxInodes) throw new EngineError('invalid-argument', `layer: more than ${maxInodes} files`);
    const inode = ++this.count;
    if (inode === this.mode.length) this.#grow();
    this.set(inode, fields);
    return inode;
  }

  set(inode: number, fields: InodeFields): void {
    this.mode[inode] = fields.mode;
    this.uid[inode] = fields.uid;
    this.gid[inode] = fields.gid;
    this.mtimeSec[inode] = fields.mtimeSec;
    this.mtimeNsec[inode] = fields.mtimeNsec;
  }

  /** The narrow columns are given back at once: waiting for the garbage collector would double what a large layer takes. */
  #grow(): void {
    this.mode = new Uint32Array(widened(this.mode));
    this.uid = new Uint32Array(widened(this.uid));
    this.gid = new Uint32Array(widened(this.gid));
    this.mtimeSec = new Float64Array(widened(this.mtimeSec));
    this.mtimeNsec = new Uint32Array(widened(this.mtimeNsec));
    this.sizeBytes = new Float64Array(widened(this.sizeBytes));
    this.data = new Float64Array(widened(this.data));
    this.device = new Uint16Array(widened(this.device));
  }
}

function widened({ buffer }: { readonly buffer: ArrayBuffer }): ArrayBuffer {
  return buffer.transfer(buffer.byteLength * 2);
}
