import { closeSync, fchmodSync, fchownSync, ftruncateSync, writeSync } from 'node:fs';
import type { TarEntry } from '#archive';

/** A new file whose data comes in pieces. The holes of a sparse file stay holes. */
export class PartialFile {
  readonly #fd: number;
  readonly #entry: TarEntry;
  readonly #owner: { readonly uid: number; readonly gid: number };
  readonly #afterwards: () => void;
  /** What is written next, and where: pieces are odd, and the file system is paid by the call and by the page begun. */
  readonly #block: Buffer;
  #heldAt = 0;
  #heldBytes = 0;
  #segment = 0;

  /** Takes the descriptor over, and the block until it is finished. `afterwards` is called when the file is complete and closed. */
  constructor(fd: number, block: Buffer, entry: TarEntry, owner: { uid: number; gid: number }, afterwards: () => void) {
    this.#fd = fd;
    this.#block = block;
    this.#entry = entry;
    this.#owner = owner;
    this.#afterwards = afterwards;
  }

  /** Pieces come in order, none twice. */
  write(bytes: Buffer, storedOffset: number): void {
    if (this.#entry.sparse) this.#writeSegments(bytes, storedOffset);
    else this.#hold(bytes, storedOffset);
  }

  #writeSegments(bytes: Buffer, storedOffset: number): void {
    const segments = this.#entry.sparse ?? [];
    for (let taken = 0; taken < bytes.length; ) {
      const segment = segments[this.#segment];
      if (!segment) return;
      const within = storedOffset + taken - segment.storedOffset;
      const length = Math.min(bytes.length - taken, segment.lengthBytes - within);
      this.#hold(bytes.subarray(taken, taken + length), segment.offset + within);
      taken += length;
      if (within + length === segment.lengthBytes) this.#segment++;
    }
  }

  #hold(bytes: Buffer, offset: number): void {
    if (offset !== this.#heldAt + this.#heldBytes) {
      this.#flush();
      this.#heldAt = offset;
    }
    for (let at = 0; at < bytes.length; ) {
      const taken = bytes.copy(this.#block, this.#heldBytes, at);
      this.#heldBytes += taken;
      at += taken;
      if (this.#heldBytes === this.#block.length) this.#flush();
    }
  }

  #flush(): void {
    for (let at = 0; at < this.#heldBytes; ) {
      at += writeSync(this.#fd, this.#block, at, this.#heldBytes - at, this.#heldAt + at);
    }
    this.#heldAt += this.#heldBytes;
    this.#heldBytes = 0;
  }

  finish(): void {
    try {
      this.#flush();
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
