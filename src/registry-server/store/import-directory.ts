import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '#errdefs';
import { readBounded } from '#files';
import { log } from '#log';
import { type Digest, isDigest, maxManifestBytes } from '#oci';
import { readAll } from '#streams';
import { newManifest } from '../manifest-document.ts';
import type { BlobStore } from './blob-store.ts';
import type { MetaStore } from './meta-store.ts';

const maxRecordBytes = 64 << 10;

/**
 * Takes over what earlier versions kept as folders of small files (`repositories/<name>/_manifests` …), once: the folder is renamed when all
 * of it is in the store. Does nothing where there is none.
 */
export async function importDirectory(root: string, stores: { blobs: BlobStore; meta: MetaStore }): Promise<void> {
  const folder = join(root, 'repositories');
  const names: string[] = [];
  await collectNames(folder, '', names);
  for (const name of names) await importRepository(join(folder, name), name, stores);
  if (names.length > 0) log.info('took over repositories kept as folders', { repositories: names.length });
  try {
    await rename(folder, join(root, 'repositories.imported'));
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

async function importRepository(
  folder: string,
  name: string,
  { blobs, meta }: { blobs: BlobStore; meta: MetaStore },
): Promise<void> {
  const manifests = new Map<Digest, string>();
  for (const file of await list(join(folder, '_manifests'))) {
    const digest = digestIn(file.replace('-', ':'));
    if (digest) manifests.set(digest, (await readText(join(folder, '_manifests', file))) ?? '');
  }
  for (const file of await list(join(folder, '_blobs'))) {
    const digest = digestIn(file.replace('-', ':'));
    const sizeBytes = digest && !manifests.has(digest) ? await blobs.stat(digest) : undefined;
    if (digest && sizeBytes !== undefined) await meta.linkBlob(name, { digest, sizeBytes }, 0);
  }
  await putManifests(name, manifests, { blobs, meta });
  for (const tag of await list(join(folder, '_tags'))) {
    const digest = digestIn(await readText(join(folder, '_tags', tag)));
    if (digest && (await meta.manifest(name, digest))) await meta.putTag(name, tag, digest);
  }
}

/** Children before the indexes that name them: again and again until a round brings nothing. */
async function putManifests(
  name: string,
  manifests: Map<Digest, string>,
  { blobs, meta }: { blobs: BlobStore; meta: MetaStore },
): Promise<void> {
  for (let before = -1; before !== manifests.size; ) {
    before = manifests.size;
    for (const [digest, mediaType] of manifests) {
      const bytes = await readAll(blobs.open(digest), maxManifestBytes);
      const manifest = newManifest(bytes, mediaType, { digest, tags: [] });
      if ((await meta.missing(name, manifest)).length > 0) continue;
      await meta.putManifest(name, manifest);
      manifests.delete(digest);
    }
  }
  for (const digest of manifests.keys()) log.warn('left out a manifest that lacks parts', { repository: name, digest });
}

async function collectNames(root: string, name: string, names: string[]): Promise<void> {
  const entries = await list(join(root, name));
  if (entries.some((entry) => entry.startsWith('_'))) names.push(name);
  for (const entry of entries) {
    if (!entry.startsWith('_')) await collectNames(root, name === '' ? entry : `${name}/${entry}`, names);
  }
}

/** Temporary files of writes that were under way are not entries. */
async function list(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => !name.endsWith('.tmp')).sort();
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return [];
    throw error;
  }
}

async function readText(path: string): Promise<string | undefined> {
  return (await readBounded(path, maxRecordBytes))?.toString('utf8');
}

function digestIn(text: string | undefined): Digest | undefined {
  return text !== undefined && isDigest(text) ? text : undefined;
}
