import { closeSync, fchmodSync, fchownSync, ftruncateSync, writeSync } from 'node:fs';
import type { TarEntry } from '#archive';

/** A new file whose data comes in pieces. The holes of a sparse file stay holes. */
export class PartialFile {
  readonly #fd: number;
  readonly #entry: TarEntry;
  readonly #owner: { readonly uid: number; readonly gid: number };
  readonly #afterwards: () => void;
  #segment = 0;

  /** Takes the descriptor over. `afterwards` is called when the file is complete and closed. */
  constructor(fd: number, entry: TarEntry, owner: { uid: number; gid: number }, afterwards: () => void) {
    this.#fd = fd;
    this.#entry = entry;
    this.#owner = owner;
    this.#afterwards = afterwards;
  }

  /** Pieces come in order, none twice. */
  write(bytes: Buffer, storedOffset: number): void {
    if (this.#entry.sparse) this.#writeSegments(bytes, storedOffset);
    else this.#writeAt(bytes, storedOffset);
  }

  #writeSegments(bytes: Buffer, storedOffset: number): void {
    const segments = this.#entry.sparse ?? [];
    for (let taken = 0; taken < bytes.length; ) {
      const segment = segments[this.#segment];
      if (!segment) return;
      const within = storedOffset + taken - segment.storedOffset;
      const length = Math.min(bytes.length - taken, segment.lengthBytes - within);
      this.#writeAt(bytes.subarray(taken, taken + length), segment.offset + within);
      taken += length;
      if (within + length === segment.lengthBytes) this.#segment++;
    }
  }

  #writeAt(bytes: Buffer, offset: number): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at, bytes.length - at, offset + at);
  }

  finish(): void {
    try {
      if (this.#entry.sparse) ftruncateSync(this.#fd, this.#entry.sizeBytes);
      fchownSync(this.#fd, this.#owner.uid, this.#owner.gid);
      fchmodSync(this.#fd, this.#entry.mode & 0o7777);
    } finally {
      this.close();
    }
    this.#afterwards();
  }

  close(): void {
    closeSync(this.#fd);
  }
}
