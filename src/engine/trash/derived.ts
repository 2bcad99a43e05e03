import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '#errdefs';
import { diskUsage } from '#files';
import type { Metadata } from '#metadata';
import { type Digest, digestHex } from '#oci';

/** The layer or chain that a file or folder below `layers/` was derived from, as its digest's hex. */
export function derivedFrom(name: string): string | undefined {
  return /(?:^|-)([0-9a-f]{64,128})(?:[.-]|$)/.exec(name)?.[1];
}

/** What drivers made of layers (indexes, unpacked trees, mount points of a chain, which count for its top layer), on the disk. */
export async function derivedSizes(
  root: string,
  metadata: Metadata,
  layers: ReadonlySet<Digest>,
): Promise<ReadonlyMap<Digest, number>> {
  const byHex = new Map<string, Digest>([...layers].map((layer) => [digestHex(layer), layer]));
  for (const [chain, top] of metadata.layers.chainTops()) {
    if (layers.has(top) && !byHex.has(digestHex(chain))) byHex.set(digestHex(chain), top);
  }
  const sizes = new Map<Digest, number>();
  for (const path of await derivedPaths(join(root, 'layers'))) {
    const layer = byHex.get(derivedFrom(path.split('/').at(-1)!) ?? '');
    if (layer !== undefined) sizes.set(layer, (sizes.get(layer) ?? 0) + (await diskUsage(path)));
  }
  return sizes;
}

/** Files of layers, and those one folder below, where each driver and the mount points have theirs. */
async function derivedPaths(folder: string, deeper = true): Promise<string[]> {
  const paths: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(noneIfAbsent)) {
    const path = join(folder, entry.name);
    if (derivedFrom(entry.name) !== undefined) paths.push(path);
    else if (deeper && entry.isDirectory()) paths.push(...(await derivedPaths(path, false)));
  }
  return paths;
}

function noneIfAbsent(error: unknown): [] {
  if (!isErrno(error, 'ENOENT')) throw error;
  return [];
}
