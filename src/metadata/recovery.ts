import type { ContentStore } from '#content';
import { log } from '#log';
import type { Digest } from '#oci';
import { LayerSources } from './layer-sources.ts';
import type { Leases } from './leases.ts';
import type { StoreContext } from './store-context.ts';

/** What a start found and removed. */
export interface RecoverResult {
  /** Files that neither a row nor a live lease named. */
  readonly files: readonly Digest[];
  /** Broken-off downloads nobody will resume. */
  readonly ingests: number;
  /** Rows whose file is gone: data was lost outside this program. */
  readonly missing: readonly Digest[];
}

/** An ingest that no one has written to for so long is not going to be resumed. */
const ingestMemoryMs = 24 * 3_600_000;

/** Before anything else runs: removes what a crash left between a file and its row. */
export async function recoverFiles(context: StoreContext, leases: Leases): Promise<RecoverResult> {
  const { reader, content } = context;
  await leases.expire();
  const rows = new Set(reader.all('SELECT digest FROM blobs').map((row) => row['digest'] as Digest));
  const leased = leases.digests();
  const files: Digest[] = [];
  for await (const { digest } of content.list()) {
    if (rows.delete(digest) || leased.has(digest)) continue;
    await content.delete(digest);
    files.push(digest);
  }
  await releaseSources(context);
  const missing = [...rows];
  for (const digest of missing) log.error('a blob is missing from the content store', { digest });
  return { files, ingests: await removeIngests(content, leases.anyRecorded), missing };
}

/** Layers that were about to read from others when a crash came between the rows and the recipe. */
async function releaseSources(context: StoreContext): Promise<void> {
  const sources = new LayerSources(context);
  const withRecipe = new Set<string>(await context.content.recipes());
  for (const reader of sources.readers())
    if (!withRecipe.has(reader)) await sources.release(reader, sources.of(reader));
}

async function removeIngests(content: ContentStore, mayResume: boolean): Promise<number> {
  const oldest = Date.now() - ingestMemoryMs;
  const dead = (await content.ingests()).filter((ingest) => !mayResume || ingest.modified.getTime() < oldest);
  for (const { name } of dead) await content.removeIngest(name);
  return dead.length;
}
