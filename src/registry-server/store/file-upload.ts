import { type FileHandle, open, rename } from 'node:fs/promises';
import { hashFile } from '#content';
import { EngineError, isErrno } from '#errdefs';
import { removeIfPresent } from '#files';
import { type Digest, type DigestAlgorithm, digestAlgorithm } from '#oci';
import { type ByteSource, giveBack } from '#streams';
import type { Upload } from './blob-store.ts';
import type { HashThreads } from './hash-threads.ts';
import { UploadHash } from './upload-hash.ts';

/** Chunks that arrived are written together, while as many more arrive. */
const writeBytes = 256 << 10;
const writebackBytes = 16 << 20;

/** Where finished blobs go. */
export interface Places {
  /** Resolves when what has been put in place before is there for good. */
  readonly settle: (digest: Digest) => Promise<void>;
  readonly pathOf: (digest: Digest) => string;
  readonly hashing: HashThreads;
}

/** An upload as a file that grows, hashed behind the writing. */
export class FileUpload implements Upload {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #places: Places;
  readonly #algorithm: DigestAlgorithm;
  readonly #hash: UploadHash;
  #sizeBytes = 0;
  #dirtyBytes = 0;
  #writeback: Promise<void> | undefined;

  private constructor(file: FileHandle, path: string, algorithm: DigestAlgorithm, places: Places) {
    this.#file = file;
    this.#path = path;
    this.#places = places;
    this.#algorithm = algorithm;
    this.#hash = new UploadHash({ file, path }, algorithm, places.hashing);
  }

  static async begin(path: string, algorithm: DigestAlgorithm, places: Places): Promise<FileUpload> {
    return new FileUpload(await open(path, 'wx+', 0o600), path, algorithm, places);
  }

  static async resume(path: string, algorithm: DigestAlgorithm, places: Places): Promise<FileUpload | undefined> {
    let file: FileHandle;
    try {
      file = await open(path, 'r+');
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
    const upload = new FileUpload(file, path, algorithm, places);
    upload.#grow((await file.stat()).size);
    return upload;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async append(source: ByteSource): Promise<void> {
    let waiting: Uint8Array[] = [];
    let waitingBytes = 0;
    let writing = Promise.resolve();
    const flush = async () => {
      await writing;
      writing = this.#write(waiting, waitingBytes);
      // Whoever comes next awaits it.
      writing.catch(() => {});
      waiting = [];
      waitingBytes = 0;
    };
    try {
      for await (const chunk of source) {
        waiting.push(chunk);
        waitingBytes += chunk.byteLength;
        if (waitingBytes >= writeBytes) await flush();
      }
    } finally {
      if (waitingBytes > 0) await flush();
      await writing;
    }
  }

  async #write(chunks: readonly Uint8Array[], sizeBytes: number): Promise<void> {
    const { bytesWritten } = await this.#file.writev(chunks, this.#sizeBytes);
    this.#grow(bytesWritten);
    if (bytesWritten === sizeBytes) {
      for (const chunk of chunks) giveBack(chunk);
      return;
    }
    // A disk that is full takes a part, and says why when asked for the rest.
    await this.#write([Buffer.concat(chunks).subarray(bytesWritten)], sizeBytes - bytesWritten);
  }

  #grow(byBytes: number): void {
    this.#sizeBytes += byBytes;
    this.#hash.reach(this.#sizeBytes);
    this.#startWriteback(byBytes);
  }

  /** While the rest still arrives, so that the sync at the end has little left to do. */
  #startWriteback(writtenBytes: number): void {
    this.#dirtyBytes += writtenBytes;
    if (this.#dirtyBytes < writebackBytes || this.#writeback) return;
    this.#dirtyBytes = 0;
    this.#writeback = this.#file
      .datasync()
      // The sync at the end tells.
      .catch(() => {})
      .finally(() => {
        this.#writeback = undefined;
      });
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const wanted = Math.max(0, Math.min(length, this.#sizeBytes - offset));
    const { buffer, bytesRead } = await this.#file.read(Buffer.allocUnsafe(wanted), 0, wanted, offset);
    return buffer.subarray(0, bytesRead);
  }

  async digest(algorithm: DigestAlgorithm): Promise<Digest> {
    if (algorithm === this.#algorithm) return await this.#hash.digest(this.#sizeBytes);
    return (await hashFile(this.#file, algorithm, this.#sizeBytes)).digest();
  }

  async commit(digest: Digest): Promise<void> {
    // The hash is behind the writing: the disk has the time that is left.
    const [actual] = await Promise.all([this.digest(digestAlgorithm(digest)), this.#file.datasync()]);
    if (actual !== digest) {
      await this.abort();
      throw new EngineError('data-loss', `commit upload: its digest is ${actual}, not ${digest}`);
    }
    this.#hash[Symbol.dispose]();
    await this.#file.close();
    await rename(this.#path, this.#places.pathOf(digest));
    await this.#places.settle(digest);
  }

  async abort(): Promise<void> {
    this.#hash[Symbol.dispose]();
    await this.#file.close();
    await removeIfPresent(this.#path);
  }

  async suspend(): Promise<void> {
    this.#hash[Symbol.dispose]();
    await this.#file.close();
  }
}
