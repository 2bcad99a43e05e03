import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { EngineError, isErrno } from '#errdefs';
import { removeIfPresent } from '#files';
import { type Digest, type DigestAlgorithm, digestAlgorithm, parseDigest } from '#oci';
import type { ByteSource } from '#streams';
import type { Upload } from './blob-store.ts';
import type { HashThreads } from './hash-threads.ts';
import { sharedChunks } from './shared-chunks.ts';
import { UploadHash } from './upload-hash.ts';

const readChunkBytes = 1 << 20;
const writeChunkBytes = 1 << 20;
const writebackBytes = 16 << 20;

/** Where finished blobs go. */
export interface Places {
  /** Resolves when what has been put in place before is there for good. */
  readonly settle: (digest: Digest) => Promise<void>;
  readonly pathOf: (digest: Digest) => string;
  readonly hashing: HashThreads;
}

/** An upload as a file that grows, hashed on the way. */
export class FileUpload implements Upload {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #places: Places;
  readonly #algorithm: DigestAlgorithm;
  readonly #hash: UploadHash;
  #sizeBytes = 0;
  #dirtyBytes = 0;
  #isHashRight = true;
  #writeback: Promise<void> | undefined;

  private constructor(file: FileHandle, path: string, algorithm: DigestAlgorithm, places: Places) {
    this.#file = file;
    this.#path = path;
    this.#places = places;
    this.#algorithm = algorithm;
    this.#hash = new UploadHash(algorithm, places.hashing);
  }

  static async begin(path: string, algorithm: DigestAlgorithm, places: Places): Promise<FileUpload> {
    return new FileUpload(await open(path, 'wx+', 0o600), path, algorithm, places);
  }

  /** What is there is hashed anew: an earlier process took its hash with it. */
  static async resume(path: string, algorithm: DigestAlgorithm, places: Places): Promise<FileUpload | undefined> {
    let file: FileHandle;
    try {
      file = await open(path, 'r+');
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
    const upload = new FileUpload(file, path, algorithm, places);
    for await (const chunk of sharedChunks(bytesOf(path), writeChunkBytes)) {
      await upload.#hash.update(chunk);
      upload.#sizeBytes += chunk.byteLength;
    }
    return upload;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async append(source: ByteSource): Promise<void> {
    let failure: { error: unknown } | undefined;
    const arrived = untilFailure(source, (error) => {
      failure = { error };
    });
    for await (const chunk of sharedChunks(arrived, writeChunkBytes)) await this.#write(chunk);
    if (failure) throw failure.error;
  }

  /** Written by one thread while another hashes. */
  async #write(chunk: Uint8Array): Promise<void> {
    const writing = this.#writeAt(chunk, this.#sizeBytes);
    const [written, hashed] = await Promise.allSettled([writing, this.#hash.update(chunk)]);
    try {
      if (written.status === 'rejected') throw written.reason;
      if (hashed.status === 'rejected') throw hashed.reason;
    } catch (error) {
      // The hash is ahead of the file from here on.
      this.#isHashRight = false;
      throw error;
    }
    this.#sizeBytes += chunk.byteLength;
    this.#startWriteback(chunk.byteLength);
  }

  async #writeAt(chunk: Uint8Array, offset: number): Promise<void> {
    for (let written = 0; written < chunk.byteLength; ) {
      const left = chunk.byteLength - written;
      const { bytesWritten } = await this.#file.write(chunk, written, left, offset + written);
      written += bytesWritten;
    }
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
    if (algorithm === this.#algorithm && this.#isHashRight)
      return parseDigest(`${algorithm}:${await this.#hash.digest()}`);
    const hash = createHash(algorithm);
    for await (const chunk of bytesOf(this.#path)) hash.update(chunk);
    return parseDigest(`${algorithm}:${hash.digest('hex')}`);
  }

  async commit(digest: Digest): Promise<void> {
    const actual = await this.digest(digestAlgorithm(digest));
    if (actual !== digest) {
      await this.abort();
      throw new EngineError('data-loss', `commit upload: its digest is ${actual}, not ${digest}`);
    }
    this.#hash[Symbol.dispose]();
    await this.#file.sync();
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

async function* bytesOf(path: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path, { highWaterMark: readChunkBytes });
}

/** Ends where the source breaks, so that the bytes held back for joining are written before the failure is told. */
async function* untilFailure(source: ByteSource, onFailure: (error: unknown) => void): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    onFailure(error);
  }
}
