import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { KeyedLock, Semaphore } from '#concurrency';
import { EngineError, isErrno } from '#errdefs';
import { fsyncFolder, type MakeRoom, readBounded, removeIfPresent, withRoom } from '#files';
import { type Digest, digestAlgorithm, digestOf } from '#oci';
import { type ByteSource, PartedSource } from '#streams';
import { algorithms, digestOfName, isIngestName, isStageName, Layout } from './layout.ts';
import { PartialFile } from './partial.ts';
import { readBlob } from './reader.ts';
import { RecentlyStored } from './recently-stored.ts';
import { RecipeFiles } from './recipe-files.ts';
import { Removals } from './removals.ts';
import type {
  BlobInfo,
  ContentStore,
  Inspection,
  PartialBlob,
  Recipes,
  StagedFile,
  Writer,
  WriterOptions,
} from './types.ts';
import { IngestWriter } from './writer.ts';

/** Descriptors held by readers and by writers; each has its own so that copying one blob to another can't wait for itself. */
const maxReaders = 512;
const maxWriters = 128;
const noRoom: MakeRoom = async () => false;

/**
 * Opens (and makes, when new) the store in the folder `root`: `<data root>/content`. Staged files of an earlier process are removed;
 * broken-off ingests stay for a resume. The caller owns the data root.
 */
export async function openContentStore(options: { root: string; makeRoom?: MakeRoom }): Promise<FileContentStore> {
  const layout = new Layout(options.root);
  for (const algorithm of algorithms) await mkdir(layout.algorithmFolder(algorithm), { recursive: true, mode: 0o700 });
  await mkdir(layout.ingestFolder, { recursive: true, mode: 0o700 });
  for (const name of await readdir(layout.ingestFolder)) {
    if (isStageName(name)) await removeIfPresent(join(layout.ingestFolder, name));
  }
  const removals = await Removals.open(layout.removedFolder);
  const recipes = new RecipeFiles(layout, removals);
  await recipes.recover();
  return new FileContentStore({ layout, removals, recipes }, options.makeRoom ?? noRoom);
}

/** The content store on a local filesystem; made by {@link openContentStore}. Disposing waits until removed blobs have freed their blocks. */
export class FileContentStore implements ContentStore, Recipes, Inspection, AsyncDisposable {
  readonly #layout: Layout;
  readonly #removals: Removals;
  readonly #recipes: RecipeFiles;
  readonly #makeRoom: MakeRoom;
  readonly #readers = new Semaphore(maxReaders);
  readonly #writers = new Semaphore(maxWriters);
  readonly #keys = new KeyedLock();
  readonly #digests = new KeyedLock();
  readonly #recent = new RecentlyStored();
  /** Names of the ingests that are being written. */
  readonly #open = new Set<string>();
  /** Their bytes are not what their names say. */
  readonly #distrusted = new Set<Digest>();

  constructor(
    { layout, removals, recipes }: { layout: Layout; removals: Removals; recipes: RecipeFiles },
    makeRoom: MakeRoom,
  ) {
    this.#makeRoom = makeRoom;
    this.#layout = layout;
    this.#removals = removals;
    this.#recipes = recipes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#removals[Symbol.asyncDispose]();
  }

  settled(): Promise<void> {
    return this.#removals.settled();
  }

  path(digest: Digest): string {
    return this.#layout.blob(digest);
  }

  open(digest: Digest, range: { offset?: number; length?: number } = {}): ByteSource {
    const { offset = 0, length } = range;
    return new PartedSource(readBlob({ path: this.path(digest), digest, offset, length, descriptors: this.#readers }));
  }

  async writer(options: WriterOptions): Promise<Writer> {
    const waiting = { signal: options.signal };
    const key = await this.#keys.acquire(options.key, waiting);
    let place: Disposable | undefined;
    const name = basename(this.#layout.ingestOf(options.key));
    this.#open.add(name);
    const release = () => {
      this.#open.delete(name);
      place?.[Symbol.dispose]();
      key[Symbol.dispose]();
    };
    try {
      place = await this.#writers.acquire(waiting);
      return await IngestWriter.open({
        path: this.#layout.ingestOf(options.key),
        expected: options.expected ?? {},
        signal: options.signal,
        makeRoom: this.#makeRoom,
        store: (path, blob) => this.#store(path, blob),
        release,
      });
    } catch (error) {
      release();
      throw error;
    }
  }

  async partial(
    key: string,
    options: { signal?: AbortSignal | undefined; isNeeded?: boolean } = {},
  ): Promise<PartialBlob> {
    const held = await this.#keys.acquire(key, options);
    const path = this.#layout.ingestOf(key);
    this.#open.add(basename(path));
    const release = () => {
      this.#open.delete(basename(path));
      held[Symbol.dispose]();
    };
    try {
      return await this.#openPart(path, { isNeeded: options.isNeeded ?? false, release });
    } catch (error) {
      release();
      throw error;
    }
  }

  draft(): Promise<PartialBlob> {
    return this.#openPart(this.#layout.stage(randomBytes(12).toString('hex')), { isNeeded: true, release: () => {} });
  }

  #openPart(path: string, options: { isNeeded: boolean; release: () => void }): Promise<PartialFile> {
    return PartialFile.open({
      path,
      ...options,
      makeRoom: this.#makeRoom,
      store: (from, blob) => this.#store(from, blob),
    });
  }

  async put(bytes: Uint8Array, expected?: Digest): Promise<BlobInfo> {
    const digest = digestOf(bytes, expected && digestAlgorithm(expected));
    if (expected !== undefined && digest !== expected)
      throw new EngineError('data-loss', `put blob ${expected}: the bytes have digest ${digest}`);
    const blob = { digest, sizeBytes: bytes.byteLength };
    await using staged = await this.stage();
    using _place = await this.#writers.acquire();
    if (await this.#holds(bytes, blob)) return blob;
    await withRoom(this.#makeRoom, async () => {
      await using file = await open(staged.path, 'w', 0o600);
      await file.writeFile(bytes);
      await file.sync();
    });
    await this.#place(staged.path, blob);
    return blob;
  }

  async stage(): Promise<StagedFile> {
    const path = this.#layout.stage(randomBytes(12).toString('hex'));
    return {
      path,
      adopt: (blob) => this.#store(path, blob),
      [Symbol.asyncDispose]: async () => {
        await removeIfPresent(path);
      },
    };
  }

  distrust(digest: Digest): void {
    this.#distrusted.add(digest);
  }

  trust(digest: Digest): void {
    this.#distrusted.delete(digest);
  }

  distrusted(): readonly Digest[] {
    return [...this.#distrusted].sort();
  }

  async stat(digest: Digest): Promise<BlobInfo | undefined> {
    if (this.#distrusted.has(digest)) return undefined;
    try {
      const found = await stat(this.path(digest));
      return found.isFile() ? { digest, sizeBytes: found.size } : undefined;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  async *list(): AsyncGenerator<BlobInfo> {
    for (const algorithm of algorithms) {
      for (const name of await readdir(this.#layout.algorithmFolder(algorithm))) {
        const digest = digestOfName(algorithm, name);
        const blob = digest && (await this.stat(digest));
        if (blob) yield blob;
      }
    }
  }

  async delete(digest: Digest, options: { storedBefore?: number } = {}): Promise<void> {
    using _held = await this.#digests.acquire(digest);
    if (options.storedBefore !== undefined && this.#recent.since(digest, options.storedBefore)) return;
    await this.#removals.take(this.path(digest));
    await this.#recipes.forget(digest);
  }

  async lighten(digest: Digest, staged: string, recipe: Uint8Array): Promise<void> {
    using _held = await this.#digests.acquire(digest);
    await withRoom(this.#makeRoom, () => this.#recipes.lighten(digest, staged, recipe));
  }

  async refill(digest: Digest, staged: string, recipe: Uint8Array | undefined): Promise<void> {
    using _held = await this.#digests.acquire(digest);
    await this.#recipes.refill(digest, staged, recipe);
  }

  recipes(): Promise<readonly Digest[]> {
    return this.#recipes.list();
  }

  async ingests(): Promise<readonly { name: string; sizeBytes: number; modified: Date }[]> {
    const found: { name: string; sizeBytes: number; modified: Date }[] = [];
    for (const name of await readdir(this.#layout.ingestFolder)) {
      if (!isIngestName(name) && !isStageName(name)) continue;
      try {
        const file = await stat(join(this.#layout.ingestFolder, name));
        found.push({ name, sizeBytes: file.size, modified: file.mtime });
      } catch (error) {
        if (!isErrno(error, 'ENOENT')) throw error;
      }
    }
    return found;
  }

  async removeIngest(name: string): Promise<void> {
    if (!isIngestName(name) && !isStageName(name))
      throw new EngineError('invalid-argument', `remove ingest ${JSON.stringify(name)}: not the name of one`);
    await removeIfPresent(join(this.#layout.ingestFolder, name));
  }

  async removeLeftIngests(): Promise<void> {
    for (const { name } of await this.ingests())
      if (isIngestName(name) && !this.#open.has(name)) await this.removeIngest(name);
  }

  storedSince(digest: Digest, moment: number): boolean {
    return this.#recent.since(digest, moment);
  }

  async strays(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const algorithm of algorithms) {
      for (const entry of await readdir(this.#layout.algorithmFolder(algorithm), { withFileTypes: true })) {
        if (!entry.isFile() || !digestOfName(algorithm, entry.name)) found.push(`blobs/${algorithm}/${entry.name}`);
      }
    }
    for (const name of await readdir(this.#layout.ingestFolder)) {
      if (!isIngestName(name) && !isStageName(name)) found.push(`ingest/${name}`);
    }
    return found;
  }

  async #isThere(digest: Digest): Promise<boolean> {
    try {
      await stat(this.path(digest));
      return true;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return false;
      throw error;
    }
  }

  /** True when exactly these bytes are there already; a small document that was damaged on disk is so replaced. */
  async #holds(bytes: Uint8Array, blob: BlobInfo): Promise<boolean> {
    if (!(await this.#keep(blob))) return false;
    const stored = await readBounded(this.path(blob.digest), blob.sizeBytes);
    return stored?.equals(bytes) === true;
  }

  /** A whole, synced file becomes the blob; one that is already there stays, since it may be mounted. */
  async #store(path: string, blob: BlobInfo): Promise<void> {
    if (await this.#keep(blob)) {
      await removeIfPresent(path);
      return;
    }
    await this.#place(path, blob);
  }

  async #place(path: string, blob: BlobInfo): Promise<void> {
    using _held = await this.#digests.acquire(blob.digest);
    // One that a removal left would be read with the new file, and names blobs that nobody keeps for it.
    if (!(await this.#isThere(blob.digest))) await this.#recipes.forget(blob.digest);
    await rename(path, this.path(blob.digest));
    await fsyncFolder(this.#layout.algorithmFolder(digestAlgorithm(blob.digest)));
    await this.#recipes.forget(blob.digest);
    this.#recent.mark(blob.digest);
    this.#distrusted.delete(blob.digest);
  }

  /** True when the blob is already there with the right size; it then counts as just stored. */
  async #keep(blob: BlobInfo): Promise<boolean> {
    using _held = await this.#digests.acquire(blob.digest);
    const found = await this.stat(blob.digest);
    if (found?.sizeBytes !== blob.sizeBytes) return false;
    this.#recent.mark(blob.digest);
    return true;
  }
}
