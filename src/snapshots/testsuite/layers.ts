import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesFromUtf8, endOfArchive, type PackEntry, packHeader, packPadding, type TarTime } from '#archive';
import { type DiffID, digestHex, digestOf, parseDiffID } from '#oci';
import { temporaryFolder } from '#testing';
import type { DriverOptions } from '../types.ts';

/** An entry for a layer in a test: what is left out is plain. */
export type Item = PackEntry & { readonly data?: string | Uint8Array };

export const someTime: TarTime = { sec: 1_600_000_000, nsec: 123_456_789 };

export function file(path: string, data: string | Uint8Array = path, more: Partial<Item> = {}): Item {
  const sizeBytes = Buffer.byteLength(data);
  return { type: 'file', path: bytesFromUtf8(path), mode: 0o644, mtime: someTime, ...more, data, sizeBytes };
}

export function folder(path: string, more: Partial<Item> = {}): Item {
  return { type: 'directory', path: bytesFromUtf8(path), mode: 0o755, mtime: someTime, ...more };
}

export function symlink(path: string, target: string, more: Partial<Item> = {}): Item {
  const names = { path: bytesFromUtf8(path), linkPath: bytesFromUtf8(target) };
  return { type: 'symlink', ...names, mode: 0o777, mtime: someTime, ...more };
}

export function hardlink(path: string, target: string, more: Partial<Item> = {}): Item {
  return {
    type: 'hardlink',
    path: bytesFromUtf8(path),
    linkPath: bytesFromUtf8(target),
    mode: 0o644,
    mtime: someTime,
    ...more,
  };
}

export function whiteout(path: string): Item {
  const slash = path.lastIndexOf('/') + 1;
  return file(`${path.slice(0, slash)}.wh.${path.slice(slash)}`, '');
}

export function opaque(path: string): Item {
  return file(`${path}/.wh..wh..opq`, '');
}

export function node(path: string, type: 'char' | 'block' | 'fifo', devMajor = 0, devMinor = 0): Item {
  return { type, path: bytesFromUtf8(path), mode: 0o620, mtime: someTime, devMajor, devMinor };
}

/** The tar of a layer. */
export function tarOf(items: readonly Item[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const { data, ...entry } of items) {
    parts.push(packHeader(entry));
    if (data !== undefined) parts.push(Buffer.from(data), packPadding(Buffer.byteLength(data)));
  }
  return Buffer.concat([...parts, endOfArchive]);
}

/** A data root with layers as its content; removed when disposed. */
export class TestRoot implements AsyncDisposable {
  readonly #folder: Awaited<ReturnType<typeof temporaryFolder>>;

  private constructor(temporary: Awaited<ReturnType<typeof temporaryFolder>>) {
    this.#folder = temporary;
  }

  static async open(): Promise<TestRoot> {
    const root = new TestRoot(await temporaryFolder('wherry-snapshots-'));
    await mkdir(join(root.path, 'content'));
    return root;
  }

  get path(): string {
    return this.#folder.path;
  }

  /** Options for a driver with a data root of its own over the common content. */
  options(name: string): DriverOptions {
    const contentPath = (diffID: DiffID) => this.contentPath(diffID);
    return { root: join(this.path, name), runRoot: join(this.path, `${name}-run`), contentPath };
  }

  contentPath(diffID: DiffID): string {
    return join(this.path, 'content', digestHex(diffID));
  }

  /** Takes the file over. */
  async addFile(path: string): Promise<DiffID> {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
    const diffID = parseDiffID(`sha256:${hash.digest('hex')}`);
    await rename(path, this.contentPath(diffID));
    return diffID;
  }

  async addTar(tar: Uint8Array): Promise<DiffID> {
    const diffID = digestOf(tar) as DiffID;
    await writeFile(this.contentPath(diffID), tar);
    return diffID;
  }

  async add(...layers: readonly (readonly Item[])[]): Promise<DiffID[]> {
    const chain: DiffID[] = [];
    for (const items of layers) chain.push(await this.addTar(tarOf(items)));
    return chain;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }
}
