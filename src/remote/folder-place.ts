import { createReadStream } from 'node:fs';
import { mkdir, open, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import { fsyncFolder, readBounded, removeIfPresent, writeAtomic } from '#files';
import { type Descriptor, maxManifestBytes } from '#oci';
import { addEntry, blobPath, findEntry, layoutMarker } from './layout.ts';
import type { CopySink, CopySource } from './places.ts';
import { verifiedDocument } from './verified.ts';

/** An OCI image layout in a folder. @throws `not-found` where there is none. */
export async function folderSource(path: string, name: string | undefined): Promise<CopySource> {
  const index = await readBounded(join(path, 'index.json'), maxManifestBytes);
  if (!index) throw new EngineError('not-found', `${path} is no image layout: it has no index.json`);
  return {
    top: findEntry(index, name, path),
    document: async (descriptor) => {
      const bytes = await readBounded(join(path, blobPath(descriptor.digest)), maxManifestBytes);
      if (!bytes) throw new EngineError('not-found', `${path} does not have ${descriptor.digest}`);
      return verifiedDocument(bytes, descriptor);
    },
    blob: ({ digest }) => createReadStream(join(path, blobPath(digest)), { highWaterMark: 1 << 20 }),
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Makes the folder, or adds to the layout that is there. Blobs appear whole, the name last. */
export async function folderSink(path: string, name: string | undefined): Promise<CopySink> {
  await mkdir(join(path, 'blobs'), { recursive: true });
  const has = async ({ digest, size }: Descriptor) => (await sizeOf(join(path, blobPath(digest)))) === size;
  return {
    parallel: 4,
    hasImage: async () => false,
    putBlob: async (descriptor, open, { onProgress }) => {
      if (await has(descriptor)) return 'exists';
      await writeBlob(join(path, blobPath(descriptor.digest)), open(), onProgress);
      return 'copied';
    },
    putDocument: async ({ digest }, bytes) => await writeDocument(join(path, blobPath(digest)), bytes),
    finish: async (top, bytes) => {
      await writeDocument(join(path, blobPath(top.digest)), bytes);
      await writeAtomic(join(path, 'oci-layout'), layoutMarker, { mode: 0o644 });
      const index = join(path, 'index.json');
      await writeAtomic(index, addEntry(await readBounded(index, maxManifestBytes), top, name), { mode: 0o644 });
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

async function writeDocument(file: string, bytes: Buffer): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeAtomic(file, bytes, { mode: 0o644 });
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function writeBlob(
  path: string,
  source: AsyncIterable<Uint8Array>,
  onProgress: (sentBytes: number) => void,
): Promise<void> {
  const temporary = `${path}.${process.pid}.part`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await using file = await open(temporary, 'w', 0o644);
    let sizeBytes = 0;
    for await (const chunk of source) {
      await file.writeFile(chunk);
      onProgress((sizeBytes += chunk.byteLength));
    }
    await file.sync();
  } catch (error) {
    await removeIfPresent(temporary);
    throw error;
  }
  await rename(temporary, path);
  await fsyncFolder(dirname(path));
}
