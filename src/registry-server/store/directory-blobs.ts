import { mkdir, open, opendir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '#errdefs';
import { removeIfPresent } from '#files';
import { type Digest, digestAlgorithm, digestHex, isDigest } from '#oci';
import type { BlobStore, ByteRange, StoredBlob } from './blob-store.ts';
import { FileUpload, type Places } from './file-upload.ts';
import { FolderSync } from './folder-sync.ts';
import { HashThreads } from './hash-threads.ts';

const readChunkBytes = 512 << 10;
/** Small, so that the first byte goes out early. */
const firstChunkBytes = 64 << 10;
const algorithms = ['sha256', 'sha512'] as const;

/** Blobs as files: `blobs/<alg>/<hex>`, uploads in flight beside them. */
export async function openDirectoryBlobs(root: string): Promise<BlobStore> {
  const uploads = join(root, 'uploads');
  await mkdir(uploads, { recursive: true });
  for (const algorithm of algorithms) await mkdir(join(root, 'blobs', algorithm), { recursive: true });
  const folderOf = (digest: Digest) => join(root, 'blobs', digestAlgorithm(digest));
  const syncs = new Map(algorithms.map((algorithm) => [algorithm, new FolderSync(join(root, 'blobs', algorithm))]));
  const places: Places = {
    pathOf: (digest) => join(folderOf(digest), digestHex(digest)),
    settle: (digest) => syncs.get(digestAlgorithm(digest))!.sync(),
    hashing: new HashThreads(),
  };
  const uploadPath = (key: string) => join(uploads, key);
  return {
    stat: async (digest) => (await statOrNothing(places.pathOf(digest)))?.size,
    open: (digest, range) => read(places.pathOf(digest), range),
    openFile: (digest) => open(places.pathOf(digest), 'r'),
    remove: (digest) => removeIfPresent(places.pathOf(digest)),
    list: () => list(root, places),
    beginUpload: (key, algorithm) => FileUpload.begin(uploadPath(key), algorithm, places),
    resumeUpload: (key, algorithm) => FileUpload.resume(uploadPath(key), algorithm, places),
    async sweepUploads(untouchedSinceMs) {
      for (const name of await readdir(uploads)) {
        const found = await statOrNothing(uploadPath(name));
        if (found && found.mtimeMs < untouchedSinceMs) await rm(uploadPath(name), { force: true });
      }
    },
  };
}

/** Reads the next piece while the one before is being used. */
async function* read(path: string, range: ByteRange | undefined): AsyncGenerator<Uint8Array> {
  if (range?.length === 0) return;
  await using file = await open(path, 'r');
  let offset = range?.offset ?? 0;
  const end = range ? offset + range.length : Number.POSITIVE_INFINITY;
  let length = firstChunkBytes;
  const next = () => file.read(Buffer.allocUnsafeSlow(Math.min(length, end - offset)), 0, undefined, offset);
  for (let reading = next(); ; ) {
    const { buffer, bytesRead } = await reading;
    if (bytesRead === 0) return;
    offset += bytesRead;
    length = readChunkBytes;
    if (offset >= end || bytesRead < buffer.length) {
      yield buffer.subarray(0, bytesRead);
      if (offset >= end) return;
      reading = next();
      continue;
    }
    reading = next();
    // Whoever leaves early does not wait for it.
    reading.catch(() => {});
    yield buffer;
  }
}

async function* list(root: string, places: Places): AsyncGenerator<StoredBlob> {
  for (const algorithm of algorithms) {
    for await (const { name } of await opendir(join(root, 'blobs', algorithm))) {
      const digest = `${algorithm}:${name}`;
      if (!isDigest(digest)) continue;
      const found = await statOrNothing(places.pathOf(digest));
      if (found) yield { digest, sizeBytes: found.size, storedMs: found.mtimeMs };
    }
  }
}

async function statOrNothing(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
