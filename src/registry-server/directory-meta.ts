import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '#errdefs';
import { readBounded, removeIfPresent, writeAtomic } from '#files';
import { type Descriptor, type Digest, decodeDescriptor, digestAlgorithm, digestHex, isDigest } from '#oci';
import type { MetaStore, StoredManifest } from './types.ts';

const maxRecordBytes = 64 << 10;
/** Parts of a repository's folder; a repository's own path never has a component with a leading underscore. */
const parts = { blobs: '_blobs', manifests: '_manifests', tags: '_tags', referrers: '_referrers' } as const;

/** Repositories as folders of small files, each written whole or not at all. */
export function openDirectoryMeta(root: string): MetaStore {
  const repositories = join(root, 'repositories');
  const at = (name: string, ...rest: string[]) => join(repositories, name, ...rest);
  const file = (digest: Digest) => `${digestAlgorithm(digest)}-${digestHex(digest)}`;
  const put = async (folder: string, name: string, text: string) => {
    await mkdir(folder, { recursive: true });
    await writeAtomic(join(folder, name), text);
  };
  const tagsOf = (name: string) => list(at(name, parts.tags));
  const tagOf = async (name: string, tag: string) => digestIn(await readText(at(name, parts.tags, tag)));
  return {
    async repositories() {
      const names: string[] = [];
      await collect(repositories, '', names);
      return names.sort();
    },
    hasRepository: async (name) => (await list(at(name))).some((entry) => entry.startsWith('_')),
    hasBlob: async (name, digest) => (await readText(at(name, parts.blobs, file(digest)))) !== undefined,
    linkBlob: (name, digest) => put(at(name, parts.blobs), file(digest), digest),
    unlinkBlob: (name, digest) => removeIfPresent(at(name, parts.blobs, file(digest))),
    async manifest(name, digest): Promise<StoredManifest | undefined> {
      const mediaType = await readText(at(name, parts.manifests, file(digest)));
      return mediaType === undefined ? undefined : { digest, mediaType };
    },
    async putManifest(name, manifest, subject) {
      if (subject) {
        const folder = at(name, parts.referrers, file(subject.digest));
        await put(folder, file(manifest.digest), JSON.stringify(subject.referrer));
      }
      await put(at(name, parts.manifests), file(manifest.digest), manifest.mediaType);
    },
    async removeManifest(name, digest) {
      for (const tag of await tagsOf(name)) {
        if ((await tagOf(name, tag)) === digest) await removeIfPresent(at(name, parts.tags, tag));
      }
      for (const subject of await list(at(name, parts.referrers))) {
        await removeIfPresent(at(name, parts.referrers, subject, file(digest)));
      }
      return await removeIfPresent(at(name, parts.manifests, file(digest)));
    },
    tags: tagsOf,
    tag: tagOf,
    putTag: (name, tag, digest) => put(at(name, parts.tags), tag, digest),
    removeTag: (name, tag) => removeIfPresent(at(name, parts.tags, tag)),
    async referrers(name, digest) {
      const folder = at(name, parts.referrers, file(digest));
      const found: Descriptor[] = [];
      for (const entry of await list(folder)) {
        const text = await readText(join(folder, entry));
        if (text !== undefined) found.push(decodeDescriptor(JSON.parse(text), 'referrer'));
      }
      return found;
    },
  };
}

async function collect(root: string, name: string, names: string[]): Promise<void> {
  const entries = await list(join(root, name));
  if (entries.includes(parts.manifests) || entries.includes(parts.tags)) names.push(name);
  for (const entry of entries) {
    if (!entry.startsWith('_')) await collect(root, name === '' ? entry : `${name}/${entry}`, names);
  }
}

/** Sorted; temporary files of writes under way are not entries. */
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
