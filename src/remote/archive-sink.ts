import { type FileHandle, link, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { endOfArchive, packHeader, packPadding } from '#archive';
import { EngineError, isErrno } from '#errdefs';
import { fsyncFolder, removeIfPresent } from '#files';
import { type Descriptor, type Digest, parseTarget } from '#oci';
import { familiarString, isReference, parseReference, withDefaultTag } from '#reference';
import type { ByteSource } from '#streams';
import { addEntry, blobPath, layoutMarker } from './layout.ts';
import type { CopySink } from './places.ts';

/** What the archive is for: any tool that reads OCI layouts, or `docker load`, which wants `manifest.json` and one image. */
export type ArchiveKind = 'oci-archive' | 'docker-archive';

/** Writes a new archive; the file appears when it is whole. @throws `already-exists` rather than replacing one. */
export async function archiveSink(path: string, name: string | undefined, kind: ArchiveKind): Promise<CopySink> {
  const temporary = `${path}.${process.pid}.part`;
  const file = await openNew(temporary, path);
  const written = new Set<Digest>();
  return {
    parallel: 1,
    hasImage: async () => false,
    putBlob: async ({ digest, size }, source, { onProgress }) => {
      if (written.has(digest)) return 'exists';
      await writeMember(file, blobPath(digest), size, source(), onProgress);
      written.add(digest);
      return 'copied';
    },
    putDocument: async ({ digest }, bytes) => await writeDocument(file, blobPath(digest), bytes),
    finish: async (top, bytes) => {
      if (kind === 'docker-archive') {
        const manifest = dockerManifest(top, bytes, name);
        await writeDocument(file, 'manifest.json', Buffer.from(`${JSON.stringify(manifest)}\n`));
      }
      await writeDocument(file, blobPath(top.digest), bytes);
      await writeDocument(file, 'index.json', Buffer.from(addEntry(undefined, top, name)));
      await writeDocument(file, 'oci-layout', Buffer.from(layoutMarker));
      await file.writeFile(endOfArchive);
      await file.sync();
      await publish(temporary, path);
    },
    [Symbol.asyncDispose]: async () => {
      await file.close();
      await removeIfPresent(temporary);
    },
  };
}

async function openNew(temporary: string, path: string): Promise<FileHandle> {
  try {
    const file = await open(path, 'r');
    await file.close();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return await open(temporary, 'w', 0o644);
    throw error;
  }
  throw alreadyThere(path);
}

function alreadyThere(path: string): EngineError {
  return new EngineError('already-exists', `${path} is there already`);
}

/** Under its name in one step, and only when nobody else took that meanwhile. */
async function publish(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    throw isErrno(error, 'EEXIST') ? alreadyThere(path) : error;
  }
  await fsyncFolder(dirname(path));
}

async function writeDocument(file: FileHandle, name: string, bytes: Buffer): Promise<void> {
  await writeMember(file, name, bytes.length, [bytes]);
}

async function writeMember(
  file: FileHandle,
  path: string,
  sizeBytes: number,
  source: ByteSource | Iterable<Uint8Array>,
  onProgress?: (sentBytes: number) => void,
): Promise<void> {
  await file.writeFile(packHeader({ type: 'file', path, mode: 0o644, sizeBytes }));
  let sentBytes = 0;
  for await (const chunk of source) {
    await file.writeFile(chunk);
    onProgress?.((sentBytes += chunk.byteLength));
  }
  await file.writeFile(packPadding(sizeBytes));
}

/** @throws `invalid-argument` for an index: the format has one image. */
function dockerManifest(top: Descriptor, bytes: Buffer, name: string | undefined): unknown {
  const target = parseTarget(bytes, top.mediaType);
  if (target.kind === 'index')
    throw new EngineError('invalid-argument', 'a docker-archive has one platform: say which with --platform');
  const { config, layers } = target.manifest;
  const tags = name === undefined ? null : [tagOf(name)];
  return [{ Config: blobPath(config.digest), RepoTags: tags, Layers: layers.map(({ digest }) => blobPath(digest)) }];
}

function tagOf(name: string): string {
  if (!isReference(name)) throw new EngineError('invalid-argument', `${name} is no name of an image`);
  return familiarString(withDefaultTag(parseReference(name)));
}
