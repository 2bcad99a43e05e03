import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '#errdefs';
import { diskUsage, entryUsage, type SeenFiles } from '#files';

/** Where something lies in the data root, by the names of its folders. */
export interface DiskEntry {
  readonly path: readonly string[];
  readonly sizeBytes: number;
}

/** How deep each folder is looked into by name; what is deeper counts with its parent. Others are one entry each. */
const depths: Readonly<Record<string, number>> = {
  content: 4,
  containers: 3,
  layers: 3,
  'build-files': 2,
  'cache-mounts': 2,
  contexts: 2,
  snapshots: 2,
  tmp: 2,
  volumes: 2,
  'volumes/.aside': 3,
};

/** The data root as entries that do not overlap, which together are what `du -x` says. */
export async function* diskEntries(root: string): AsyncGenerator<DiskEntry> {
  const seen: SeenFiles = new Set();
  yield* below(root, [], seen);
}

async function* below(root: string, path: readonly string[], seen: SeenFiles): AsyncGenerator<DiskEntry> {
  yield { path, sizeBytes: await entryUsage(join(root, ...path)) };
  for (const entry of await entriesIn(join(root, ...path))) {
    const inside = [...path, entry.name];
    const depth = depths[inside.slice(0, 2).join('/')] ?? depths[inside[0]!] ?? 1;
    if (inside.length < depth && entry.isDirectory()) yield* below(root, inside, seen);
    else yield { path: inside, sizeBytes: await diskUsage(join(root, ...inside), seen) };
  }
}

async function entriesIn(folder: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return [];
    throw error;
  }
}
