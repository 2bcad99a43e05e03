/** Archives as `docker save` writes them, made layer by layer and kept in a cache folder. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { endOfArchive, packHeader, packPadding } from '#archive';

const headerBytes = 512;

export interface WrittenLayer {
  readonly path: string;
  readonly diffID: string;
  readonly sizeBytes: number;
}

export interface ArchivedImage {
  readonly name: string;
  /** Lowest first. */
  readonly layers: readonly WrittenLayer[];
  readonly labels?: Readonly<Record<string, string>>;
}

export interface CachedArchive {
  readonly path: string;
  /** Of the tars of all layers together. */
  readonly layerBytes: number;
}

/** Made once by `write`, which answers the images; the same `key` must mean the same bytes. */
export async function cachedArchive(
  cache: string,
  key: string,
  write: (archive: DockerArchive) => Promise<readonly ArchivedImage[]>,
): Promise<CachedArchive> {
  const path = join(cache, `${key}.tar`);
  const facts = join(cache, `${key}.json`);
  await mkdir(cache, { recursive: true });
  if (!existsSync(path) || !existsSync(facts)) {
    console.error(`making ${path}`);
    await using file = await open(`${path}.new`, 'w');
    const archive = new DockerArchive(file);
    await archive.end(await write(archive));
    await writeFile(facts, JSON.stringify({ layerBytes: archive.layerBytes }));
    await rename(`${path}.new`, path);
  }
  const { layerBytes } = JSON.parse(await readFile(facts, 'utf8')) as { layerBytes: number };
  return { path, layerBytes };
}

/** The outer tar. A layer's header is written when its size is known, into the room left for it. */
export class DockerArchive {
  readonly #file: FileHandle;
  #at = 0;
  #layerBytes = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  get layerBytes(): number {
    return this.#layerBytes;
  }

  async addLayer(name: string, chunks: Iterable<Uint8Array>): Promise<WrittenLayer> {
    const path = `${name}/layer.tar`;
    const { digest, sizeBytes } = await this.#add(path, chunks);
    this.#layerBytes += sizeBytes;
    return { path, diffID: `sha256:${digest}`, sizeBytes };
  }

  async end(images: readonly ArchivedImage[]): Promise<void> {
    const manifest = [];
    for (const image of images) {
      const bytes = Buffer.from(JSON.stringify(configOf(image)));
      const path = `${createHash('sha256').update(bytes).digest('hex')}.json`;
      await this.#add(path, [bytes]);
      manifest.push({ Config: path, RepoTags: [image.name], Layers: image.layers.map((layer) => layer.path) });
    }
    await this.#add('manifest.json', [Buffer.from(JSON.stringify(manifest))]);
    await this.#write(endOfArchive);
  }

  async #add(path: string, chunks: Iterable<Uint8Array>): Promise<{ digest: string; sizeBytes: number }> {
    const headerAt = this.#at;
    this.#at += headerBytes;
    const hash = createHash('sha256');
    let sizeBytes = 0;
    for (const chunk of chunks) {
      hash.update(chunk);
      sizeBytes += chunk.byteLength;
      await this.#write(chunk);
    }
    await this.#write(packPadding(sizeBytes));
    await this.#file.write(packHeader({ type: 'file', path, mode: 0o644, sizeBytes }), 0, headerBytes, headerAt);
    return { digest: hash.digest('hex'), sizeBytes };
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.#file.write(bytes, 0, bytes.byteLength, this.#at);
    this.#at += bytes.byteLength;
  }
}

function configOf({ layers, labels }: ArchivedImage): object {
  return {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    created: '2024-01-01T00:00:00Z',
    config: { Cmd: ['sh'], Env: ['PATH=/bin'], ...(labels ? { Labels: labels } : {}) },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffID }) => diffID) },
    history: layers.map((_, index) => ({ created: '2024-01-01T00:00:00Z', created_by: `layer ${index}` })),
  };
}
