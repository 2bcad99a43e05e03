import { createReadStream } from 'node:fs';
import { type FileHandle, open, statfs } from 'node:fs/promises';
import { EngineError } from '#errdefs';
import { type MakeRoom, removeIfPresent, withRoom } from '#files';
import type { ByteSource } from '#streams';
import type { BlobInfo, PartialBlob } from './types.ts';

/** Written in pieces of this size: a kill loses one at most. */
const pieceBytes = 1 << 20;
/** With less than this free on the disk, parts are not worth their place. */
const reserveBytes = 1 << 30;
const spaceCheckBytes = 64 << 20;

export interface PartialFileOptions {
  readonly path: string;
  /** Bytes that cannot be kept are a failure. */
  readonly isNeeded: boolean;
  readonly makeRoom: MakeRoom;
  /** Moves a finished file to its blob's place, durably. */
  readonly store: (path: string, blob: BlobInfo) => Promise<void>;
  readonly release: () => void;
}

/** A file that grows while a download does. */
export class PartialFile implements PartialBlob {
  readonly #options: PartialFileOptions;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly sizeBytes: number;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writtenBytes: number;
  #checkSpaceAt = 0;
  #writing: Promise<void> = Promise.resolve();
  #isGivenUp = false;
  #failure: unknown;
  #isClosed = false;

  private constructor(options: PartialFileOptions, file: FileHandle, sizeBytes: number) {
    this.#options = options;
    this.#path = options.path;
    this.#file = file;
    this.sizeBytes = sizeBytes;
    this.#writtenBytes = sizeBytes;
  }

  static async open(options: PartialFileOptions): Promise<PartialFile> {
    const file = await open(options.path, 'a', 0o600);
    try {
      return new PartialFile(options, file, (await file.stat()).size);
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
    if (this.#failure !== undefined) throw this.#failure;
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
    this.#options.release();
  }

  async adopt(blob: BlobInfo): Promise<void> {
    await this.#writing;
    await this.#flush();
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isGivenUp || this.#writtenBytes !== blob.sizeBytes) {
      const fact = `${this.#isGivenUp ? 0 : this.#writtenBytes} bytes, want ${blob.sizeBytes}`;
      throw new EngineError('data-loss', `keep blob ${blob.digest}: ${fact}`);
    }
    await this.#file.sync();
    await this.#close();
    try {
      await this.#options.store(this.#path, blob);
    } catch (error) {
      await removeIfPresent(this.#path);
      throw error;
    } finally {
      this.#options.release();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    await this.#writing;
    await this.#flush();
    await this.#close();
    if (this.#isGivenUp || this.#writtenBytes === 0) await removeIfPresent(this.#path);
    this.#options.release();
  }

  async #flush(): Promise<void> {
    if (this.#isGivenUp || this.#waitingBytes === 0) return;
    const piece = this.#waiting;
    this.#waiting = [];
    const sizeBytes = this.#waitingBytes;
    this.#waitingBytes = 0;
    try {
      if (this.#options.isNeeded) await withRoom(this.#options.makeRoom, () => this.#write(piece, sizeBytes));
      else {
        await this.#checkSpace();
        await this.#write(piece, sizeBytes);
      }
      this.#writtenBytes += sizeBytes;
    } catch (error) {
      // A full disk, say: the download goes on without, unless it is for the copy as well.
      this.#isGivenUp = true;
      if (this.#options.isNeeded) this.#failure = error;
      await removeIfPresent(this.#path);
    }
  }

  /** Whole or not at all: what was begun of a piece is taken back. */
  async #write(piece: readonly Uint8Array[], sizeBytes: number): Promise<void> {
    try {
      const { bytesWritten } = await this.#file.writev(piece);
      if (bytesWritten === sizeBytes) return;
      await this.#file.truncate(this.#writtenBytes);
    } catch (error) {
      await this.#file.truncate(this.#writtenBytes);
      throw error;
    }
    throw Object.assign(new Error('write: no space left on device'), { code: 'ENOSPC' });
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
