import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Semaphore } from '#concurrency';
import { diskUsage } from '#files';
import { log } from '#log';
import type { DroppedEntry, JournalEntry, Metadata } from '#metadata';
import type { Digest } from '#oci';
import type { SnapshotDriver } from '#snapshots';
import type { Volumes } from '#volume';
import type { Ballast } from './ballast.ts';
import { derivedSizes } from './derived.ts';
import type { TrashPolicy } from './policy.ts';

/** After a removal, so that a burst of them is looked at once. */
const settleMs = 500;
/** Between looks while something is kept: the disk fills without a word. */
const watchMs = 5000;

export interface TrashStores {
  readonly root: string;
  readonly content: { path(digest: Digest): string; settled(): Promise<void> };
  readonly metadata: Metadata;
  readonly snapshots: SnapshotDriver;
  readonly volumes: Volumes;
  readonly ballast: Ballast;
}

/** Keeps what was removed within its limits: measures it, and drops what is past its time or too much, oldest first. */
export class TrashKeeper implements AsyncDisposable {
  readonly #stores: TrashStores;
  readonly #policy: TrashPolicy;
  readonly #turn = new Semaphore(1);
  readonly #watch: NodeJS.Timeout;
  #lastBytes = Number.POSITIVE_INFINITY;
  #soon: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(stores: TrashStores, policy: TrashPolicy) {
    this.#stores = stores;
    this.#policy = policy;
    this.#watch = setInterval(() => this.#glance(), watchMs).unref();
  }

  get graceMs(): number {
    return this.#policy.graceMs;
  }

  /** Something was removed: its size is looked at soon, behind the caller's back. */
  touched(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.#look();
    }, settleMs).unref();
  }

  /** Whether a look is worth it: most of the time nothing has happened. */
  #glance(): void {
    const { journal } = this.#stores.metadata;
    if (this.#closed) return;
    void this.#stores.ballast.refill();
    if (journal.isEmpty) return;
    const isShort = this.#policy.shortOfBytes() > 0 || this.#lastBytes > this.#policy.maxBytes();
    if (isShort || this.#policy.countExpired(journal.list(), Date.now()) > 0) this.#look();
  }

  #look(): void {
    if (this.#closed || this.#stores.metadata.journal.isEmpty) return;
    this.enforce().catch((error: unknown) => log.warn('trash: could not keep it within its limits', { error }));
  }

  /** Brings the trash within its limits now. */
  async enforce(): Promise<void> {
    using _turn = await this.#turn.acquire();
    const { journal } = this.#stores.metadata;
    await this.#measure(journal.list());
    const entries = journal.list();
    const expired = this.#policy.countExpired(entries, Date.now());
    if (expired > 0) await this.#drop(entries.slice(0, expired));
    for (const entry of entries.slice(Math.max(expired, 0))) {
      this.#lastBytes = await this.sizeBytes();
      if (this.#policy.shortOfBytes() <= 0 && this.#lastBytes <= this.#policy.maxBytes()) return;
      log.info('trash: dropped for lack of space', { undo: entry.number, what: `${entry.action} ${entry.subject}` });
      await this.#drop([entry]);
      // Blocks are freed behind; what counts is how much is free then.
      await this.#settled();
    }
  }

  /** Drops all of it; answers the bytes that this freed on the disk, when they are free. */
  async empty(): Promise<number> {
    using _turn = await this.#turn.acquire();
    await this.#measure(this.#stores.metadata.journal.list());
    const bytes = await this.sizeBytes();
    await this.#drop(this.#stores.metadata.journal.list());
    await this.#settled();
    return bytes;
  }

  /** For a write that found no space: drops all of it. Answers whether there was any. */
  async makeRoom(): Promise<boolean> {
    using _turn = await this.#turn.acquire();
    const entries = this.#stores.metadata.journal.list();
    if (entries.length === 0) return false;
    log.info('trash: emptied for a write that found no space', { calls: entries.length });
    await this.#drop(entries);
    await this.#settled();
    return true;
  }

  /** For what cannot be tried again: drops all of it when less than that is free. */
  async keepFree(wantedBytes: number): Promise<void> {
    if (this.#policy.freeBytes() >= wantedBytes || this.#stores.metadata.journal.isEmpty) return;
    await this.makeRoom();
  }

  /** One at a time, and not while something is dropped. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    using _turn = await this.#turn.acquire();
    return await work();
  }

  /** What all of it takes on the disk. */
  async sizeBytes(): Promise<number> {
    return (await this.sizes()).values().reduce((sum, bytes) => sum + bytes, 0);
  }

  /** What each entry takes on the disk, by its number; a blob that several keep counts for the earliest. */
  async sizes(): Promise<ReadonlyMap<number, number>> {
    const { root, metadata, content } = this.#stores;
    const sizes = new Map<number, number>();
    for (const entry of metadata.journal.list()) {
      sizes.set(entry.number, entry.folderBytes ?? (await this.#folderBytes(entry)));
    }
    const blobs = metadata.journal.blobs();
    const derived = await derivedSizes(root, metadata, new Set(blobs.map(({ digest }) => digest)));
    for (const { digest, number } of blobs) {
      const bytes = (derived.get(digest) ?? 0) + (await diskUsage(content.path(digest)));
      sizes.set(number, (sizes.get(number) ?? 0) + bytes);
    }
    return sizes;
  }

  async #measure(entries: readonly JournalEntry[]): Promise<void> {
    for (const entry of entries) {
      if (entry.folderBytes !== undefined) continue;
      await this.#stores.metadata.journal.setFolderBytes(entry.number, await this.#folderBytes(entry));
    }
  }

  async #folderBytes({ number, kept }: JournalEntry): Promise<number> {
    const { root, volumes } = this.#stores;
    const folders = kept.flatMap(({ kind, key }) => {
      if (kind === 'container') return containerFolders(root, key);
      return kind === 'volume' ? [volumes.asideFolder({ label: `${number}`, name: key })] : [];
    });
    let bytes = 0;
    for (const folder of folders) bytes += await diskUsage(folder);
    return bytes;
  }

  async #drop(entries: readonly JournalEntry[]): Promise<void> {
    const { metadata } = this.#stores;
    for (const dropped of await metadata.journal.drop(entries.map((entry) => entry.number))) {
      await this.#removeFolders(dropped);
    }
    await metadata.collect();
  }

  /** Of what has no row any more: what cannot be removed now the next start removes. */
  async #removeFolders({ number, containers, volumes }: DroppedEntry): Promise<void> {
    try {
      for (const id of containers) {
        await this.#stores.snapshots.remove(id);
        await rm(join(this.#stores.root, 'containers', id), { recursive: true, force: true });
      }
      for (const name of volumes) await this.#stores.volumes.dropAside({ label: `${number}`, name });
    } catch (error) {
      log.warn('trash: could not remove what was dropped', { undo: number, error });
    }
  }

  async #settled(): Promise<void> {
    await this.#stores.content.settled();
    await this.#stores.snapshots.settled();
  }

  /** Waits for a look under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watch);
    clearTimeout(this.#soon);
    using _turn = await this.#turn.acquire();
  }
}

function containerFolders(root: string, id: string): string[] {
  return [join(root, 'snapshots', id), join(root, 'containers', id)];
}
