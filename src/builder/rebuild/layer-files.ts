import { createHash } from 'node:crypto';
import { readTar, type TarEntry } from '#archive';
import type { ContentStore } from '#content';
import type { DiffID } from '#oci';
import { cleanTreePath } from '../executor/index.ts';

/** A file of a layer, with a digest of its content. */
export interface LayerFile {
  readonly entry: TarEntry;
  readonly digest: string;
}

/** A layer's entries by path, in their order. */
export async function layerFiles(
  content: Pick<ContentStore, 'open'>,
  layer: DiffID,
  { signal }: { readonly signal: AbortSignal },
): Promise<Map<string, LayerFile>> {
  const files = new Map<string, LayerFile>();
  for await (const { body, ...entry } of readTar(content.open(layer))) {
    signal.throwIfAborted();
    const hash = createHash('sha256');
    for await (const chunk of body) hash.update(chunk);
    files.set(cleanTreePath(entry.path), { entry, digest: entry.type === 'file' ? hash.digest('hex') : '' });
  }
  return files;
}

/** Up to here a file is looked at whole: enough to name any difference that people can mend. */
const maxShownBytes = 16 << 20;

/** A file's bytes, or how it begins. */
export async function startOf(content: Pick<ContentStore, 'open'>, layer: DiffID, entry: TarEntry): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  const length = Math.min(entry.storedBytes, maxShownBytes);
  if (length > 0) {
    for await (const chunk of content.open(layer, { offset: entry.dataOffset, length })) parts.push(chunk);
  }
  return Buffer.concat(parts);
}
