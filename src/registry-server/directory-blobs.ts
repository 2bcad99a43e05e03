import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import { fsyncFolder, removeIfPresent, writeAtomic } from '#files';
import { type Digest, digestAlgorithm, digestHex } from '#oci';
import { type ByteSource, coalesce } from '#streams';
import type { BlobStore, ByteRange, Upload } from './types.ts';

const readChunkBytes = 1 << 20;
const writeChunkBytes = 1 << 20;

/** Blobs as files: `blobs/<alg>/<hex>`, uploads in flight beside them. What an earlier process left in flight is removed. */
export async function openDirectoryBlobs(root: string): Promise<BlobStore> {
  const uploads = join(root, 'uploads');
  await rm(uploads, { recursive: true, force: true });
  await mkdir(uploads, { recursive: true });
  for (const algorithm of ['sha256', 'sha512']) await mkdir(join(root, 'blobs', algorithm), { recursive: true });
  const folderOf = (digest: Digest) => join(root, 'blobs', digestAlgorithm(digest));
  const pathOf = (digest: Digest) => join(folderOf(digest), digestHex(digest));
  return {
    async stat(digest) {
      try {
        return (await stat(pathOf(digest))).size;
      } catch (error) {
        if (isErrno(error, 'ENOENT')) return undefined;
        throw error;
      }
    },
    open: (digest, range) => read(pathOf(digest), range),
    async put(digest, bytes) {
      await writeAtomic(pathOf(digest), bytes, { mode: 0o600 });
    },
    async beginUpload() {
      const path = join(uploads, randomUUID());
      const file = await open(path, 'wx+', 0o600);
      return new FileUpload({ file, path, folderOf, pathOf });
    },
  };
}

async function* read(path: string, range: ByteRange | undefined): AsyncGenerator<Uint8Array> {
  if (range?.length === 0) return;
  const bounds = range ? { start: range.offset, end: range.offset + range.length - 1 } : {};
  yield* createReadStream(path, { ...bounds, highWaterMark: readChunkBytes });
}

class FileUpload implements Upload {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #folderOf: (digest: Digest) => string;
  readonly #pathOf: (digest: Digest) => string;
  readonly #hash: Hash = createHash('sha256');
  #sizeBytes = 0;

  constructor(parts: {
    file: FileHandle;
    path: string;
    folderOf: (digest: Digest) => string;
    pathOf: (digest: Digest) => string;
  }) {
    this.#file = parts.file;
    this.#path = parts.path;
    this.#folderOf = parts.folderOf;
    this.#pathOf = parts.pathOf;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async append(source: ByteSource): Promise<void> {
    let failure: { error: unknown } | undefined;
    const arrived = untilFailure(source, (error) => {
      failure = { error };
    });
    for await (const chunk of coalesce(arrived, writeChunkBytes)) await this.#write(chunk);
    if (failure) throw failure.error;
  }

  async #write(chunk: Uint8Array): Promise<void> {
    for (let written = 0; written < chunk.byteLength; ) {
      const { bytesWritten } = await this.#file.write(
        chunk,
        written,
        chunk.byteLength - written,
        this.#sizeBytes + written,
      );
      written += bytesWritten;
    }
    this.#hash.update(chunk);
    this.#sizeBytes += chunk.byteLength;
  }

  async commit(digest: Digest): Promise<void> {
    const actual = await this.#digest(digest);
    if (actual !== digestHex(digest)) {
      await this.abort();
      throw new EngineError(
        'data-loss',
        `commit upload: its digest is ${digestAlgorithm(digest)}:${actual}, not ${digest}`,
      );
    }
    await this.#file.sync();
    await this.#file.close();
    await rename(this.#path, this.#pathOf(digest));
    await fsyncFolder(this.#folderOf(digest));
  }

  /** Hashed on the way; another algorithm reads the file once more. */
  async #digest(wanted: Digest): Promise<string> {
    if (digestAlgorithm(wanted) === 'sha256') return this.#hash.digest('hex');
    const hash = createHash(digestAlgorithm(wanted));
    for await (const chunk of read(this.#path, undefined)) hash.update(chunk);
    return hash.digest('hex');
  }

  async abort(): Promise<void> {
    await this.#file.close();
    await removeIfPresent(this.#path);
  }
}

/** Ends where the source breaks, so that the bytes held back for joining are written before the failure is told. */
async function* untilFailure(source: ByteSource, onFailure: (error: unknown) => void): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    onFailure(error);
  }
}
