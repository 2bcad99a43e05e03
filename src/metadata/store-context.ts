import type { KeyedLock } from '#concurrency';
import type { ContentStore, Inspection, Recipes } from '#content';
import { EngineError } from '#errdefs';
import type { Digest } from '#oci';
import { type Connection, text } from '#sqlite';
import type { DatabaseWriter } from './database-writer.ts';

/** What the tables share. */
export interface StoreContext {
  readonly reader: Connection;
  readonly writer: DatabaseWriter;
  readonly content: ContentStore & Recipes & Inspection;
  /** Held over a digest while its row and its file are made to agree: by the collector, by leases, by rows that vouch for a file. */
  readonly digests: KeyedLock;
  readonly nowMs: () => number;
}

/** All of them, in one order for everybody. */
export async function lockDigests(locks: KeyedLock, digests: Iterable<Digest>): Promise<Disposable> {
  using held = new DisposableStack();
  for (const digest of [...new Set(digests)].sort()) held.use(await locks.acquire(digest));
  return held.move();
}

/** The sizes of those whose row is missing. @throws `failed-precondition` when the file is missing too. */
export async function vouchForBlobs(
  context: StoreContext,
  digests: Iterable<Digest>,
): Promise<{ digest: Digest; sizeBytes: number }[]> {
  const unknown = context.reader.all(
    'SELECT DISTINCT value AS digest FROM json_each(?) WHERE value NOT IN (SELECT digest FROM blobs)',
    JSON.stringify([...digests]),
  );
  const found: { digest: Digest; sizeBytes: number }[] = [];
  for (const row of unknown) found.push(await vouchForBlob(context, text(row, 'digest') as Digest));
  return found;
}

export async function vouchForBlob(
  context: StoreContext,
  digest: Digest,
): Promise<{ digest: Digest; sizeBytes: number }> {
  const blob = await context.content.stat(digest);
  if (!blob) throw new EngineError('failed-precondition', `record blob ${digest}: its bytes are not in the store`);
  return blob;
}
