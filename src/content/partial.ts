import { createReadStream } from 'node:fs';
import { type FileHandle, open, statfs } from 'node:fs/promises';
import { removeIfPresent } from '#files';
import type { ByteSource } from '#streams';
import type { PartialBlob } from './types.ts';

/** Written in pieces of this size: a kill loses one at most. */
const pieceBytes = 1 << 20;
/** With less than this free on the disk, parts are not worth their place. */
const reserveBytes = 1 << 30;
const spaceCheckBytes = 64 << 20;

/** A file that grows while a download does. */
export class PartialFile implements PartialBlob {
  readonly #path: string;
  readonly #release: () => void;
  readonly #file: FileHandle;
  readonly sizeBytes: number;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writtenBytes: number;
  #checkSpaceAt = 0;
  #writing: Promise<void> = Promise.resolve();
  #isGivenUp = false;
  #isClosed = false;

  private constructor(path: string, file: FileHandle, sizeBytes: number, release: () => void) {
    this.#path = path;
    this.#file = file;
    this.sizeBytes = sizeBytes;
    this.#writtenBytes = sizeBytes;
    this.#release = release;
  }

  static async open(path: string, release: () => void): Promise<PartialFile> {
    const file = await open(path, 'a', 0o600);
    try {
      return new PartialFile(path, file, (await file.stat()).size, release);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  read(): ByteSource {
    if (this.sizeBytes === 0) return createReadStream('/dev/null');
    return createReadStream(this.#path, { end: this.sizeBytes - 1, highWaterMark: pieceBytes });
  }

  async append(chunk: Uint8Array): Promise<void> {
    if (this.#isGivenUp) return;
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.byteLength;
    if (this.#waitingBytes < pieceBytes) return;
    // The piece before is on its way while this one was gathered.
    await this.#writing;
    this.#writing = this.#flush();
  }

  async remove(): Promise<void> {
    if (this.#isClosed) return;
    this.#isGivenUp = true;
    await this.#close();
    await removeIfPresent(this.#path);
    this.#release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    await this.#writing;
    await this.#flush();
    await this.#close();
    if (this.#isGivenUp || this.#writtenBytes === 0) await removeIfPresent(this.#path);
    this.#release();
  }

  async #flush(): Promise<void> {
    if (this.#isGivenUp || this.#waitingBytes === 0) return;
    const piece = this.#waiting;
    this.#waiting = [];
    const sizeBytes = this.#waitingBytes;
    this.#waitingBytes = 0;
    try {
      await this.#checkSpace();
      const { bytesWritten } = await this.#file.writev(piece);
      if (bytesWritten !== sizeBytes) throw new Error('short write');
      this.#writtenBytes += sizeBytes;
    } catch {
      // A full disk, say: the download goes on without.
      this.#isGivenUp = true;
      await removeIfPresent(this.#path);
    }
  }

  async #checkSpace(): Promise<void> {
    if (this.#writtenBytes < this.#checkSpaceAt) return;
    const { bavail, bsize } = await statfs(this.#path);
    if (bavail * bsize < reserveBytes) throw new Error('little space');
    this.#checkSpaceAt = this.#writtenBytes + spaceCheckBytes;
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    await this.#writing;
    await this.#file.close();
  }
}
