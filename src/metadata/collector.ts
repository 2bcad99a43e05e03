import { Semaphore } from '#concurrency';
import { log } from '#log';
import type { DiffID, Digest } from '#oci';
import type { SnapshotDriver } from '#snapshots';
import { text } from '#sqlite';
import type { Leases } from './leases.ts';
import { lockDigests, type StoreContext } from './store-context.ts';
import type { CollectResult } from './types.ts';
import type { DroppedBlob } from './writes/garbage.ts';

/** Bounds how long a lease waits for a batch that holds its digest. */
const batchSize = 32;

/** Deletes what nothing reaches: row first, then files, so that a crash between leaves files that the next start removes. */
export class Collector {
  readonly #context: StoreContext;
  readonly #leases: Leases;
  readonly #driver: Pick<SnapshotDriver, 'removeLayer'> | undefined;
  readonly #turn = new Semaphore(1);
  #spared = false;
  /** Rows are gone, files are not: a container that was being made had hold of them. */
  readonly #left = new Map<Digest, DroppedBlob>();

  constructor(context: StoreContext, leases: Leases, driver: Pick<SnapshotDriver, 'removeLayer'> | undefined) {
    this.#context = context;
    this.#leases = leases;
    this.#driver = driver;
  }

  async collect(options: { signal?: AbortSignal | undefined } = {}): Promise<CollectResult> {
    using _turn = await this.#turn.acquire(options);
    const { reader, writer, nowMs } = this.#context;
    await this.#leases.expire();
    await this.#removeLeft();
    const dropped: DroppedBlob[] = [];
    // What goes may have been the last to read the bytes of others.
    for (let before = -1; before < dropped.length; ) {
      before = dropped.length;
      const garbage = this.#unclaimed(
        reader.all('SELECT digest FROM garbage').map((row) => text(row, 'digest') as Digest),
      );
      for (let at = 0; at < garbage.length; at += batchSize) {
        options.signal?.throwIfAborted();
        dropped.push(...(await this.#collectBatch(garbage.slice(at, at + batchSize))));
      }
    }
    if (dropped.length > 0) await writer.run('garbage.forgetOrigins', nowMs(), { durable: false });
    return {
      blobs: dropped.map((blob) => blob.digest),
      layers: dropped.filter((blob) => blob.chains !== undefined).map((blob) => blob.digest as DiffID),
      freedBytes: dropped.reduce((sum, blob) => sum + blob.sizeBytes, 0),
    };
  }

  /** A lease has ended: collects what was spared for it, in the background. */
  resume(): void {
    if (!this.#spared) return;
    this.#spared = false;
    this.collect().catch((error) => log.warn('collect: stopped', { error }));
  }

  /** Work that holds a lease learns a digest only after it has stored the bytes: what was stored since its lease began is left to it. */
  #unclaimed(garbage: readonly Digest[]): readonly Digest[] {
    const oldest = this.#leases.oldestHeld;
    if (oldest === undefined) return garbage;
    const unclaimed = garbage.filter((digest) => !this.#context.content.storedSince(digest, oldest));
    this.#spared ||= unclaimed.length < garbage.length;
    return unclaimed;
  }

  async #collectBatch(digests: readonly Digest[]): Promise<readonly DroppedBlob[]> {
    using _held = await lockDigests(this.#context.digests, digests);
    const storedBefore = performance.now();
    const dropped = await this.#context.writer.run('garbage.drop', digests);
    await Promise.all(dropped.map((blob) => this.#removeFiles(blob, storedBefore)));
    return dropped;
  }

  /** Tries again what could not be removed, unless somebody has brought it back or is about to. */
  async #removeLeft(): Promise<void> {
    for (const digest of this.#unclaimed([...this.#left.keys()])) {
      using _held = await lockDigests(this.#context.digests, [digest]);
      const blob = this.#left.get(digest)!;
      this.#left.delete(digest);
      const isWanted = this.#context.reader.get('SELECT 1 FROM blobs WHERE digest = ?', digest) !== undefined;
      if (isWanted || this.#leases.digests().has(digest)) continue;
      await this.#removeFiles(blob, performance.now());
    }
  }

  /** A file that can't be removed now has no row any more: the next collection tries again, or the next start. */
  async #removeFiles(blob: DroppedBlob, storedBefore: number): Promise<void> {
    try {
      if (blob.chains) await this.#driver?.removeLayer(blob.digest as DiffID, blob.chains);
      await this.#context.content.delete(blob.digest, { storedBefore });
    } catch (error) {
      log.warn('collect: could not remove files', { digest: blob.digest, error });
      this.#left.set(blob.digest, blob);
    }
  }
}
