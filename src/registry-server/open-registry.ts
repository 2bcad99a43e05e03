import { KeyedLock } from '#concurrency';
import { FileSender } from '#http';
import { maxManifestBytes } from '#oci';
import { Claims } from './claims.ts';
import { Collector } from './collector.ts';
import { PullCounter } from './hub/pull-counter.ts';
import { Scrub } from './operations/scrub.ts';
import type { Limits, Registry, Retention, Stores } from './registry.ts';
import { openDirectoryBlobs } from './store/directory-blobs.ts';
import { importDirectory } from './store/import-directory.ts';
import { openSqliteMeta } from './store/sqlite-meta.ts';
import { Uploads } from './uploads.ts';
import { Eviction } from './upstream/eviction.ts';
import { PullThrough, type PullThroughOptions } from './upstream/pull-through.ts';

export interface OpenRegistryOptions {
  readonly retention?: Partial<Retention>;
  readonly limits?: Partial<Limits>;
  readonly upstreams?: PullThroughOptions | undefined;
  /** Zero is never. */
  readonly scrubEveryMs?: number | undefined;
}

export interface OpenRegistry extends Registry, AsyncDisposable {}

const hourMs = 60 * 60_000;
const weekMs = 7 * 24 * hourMs;
const defaultRetention: Retention = {
  unclaimedMs: 24 * hourMs,
  askedMs: hourMs,
  quietMs: 30_000,
  inUseMs: 10 * 60_000,
  undoMs: 30_000,
};
const defaultLimits: Limits = { maxBlobBytes: Number.MAX_SAFE_INTEGER, maxManifestBytes };

/** A registry on a folder: blobs as files, the rest in a database. One process at a time. */
export async function openRegistry(root: string, options: OpenRegistryOptions = {}): Promise<OpenRegistry> {
  const blobs = await openDirectoryBlobs(root);
  await using opened = new AsyncDisposableStack();
  const meta = opened.use(await openSqliteMeta(root));
  await importDirectory(root, { blobs, meta });
  const stores: Stores = {
    blobs,
    meta,
    claims: new Claims(),
    locks: new KeyedLock(),
    limits: { ...defaultLimits, ...options.limits },
    retention: { ...defaultRetention, ...options.retention },
  };
  const uploads = opened.use(new Uploads(stores));
  const pulls = opened.use(new PullCounter(meta));
  const collector = opened.use(new Collector(stores));
  const scrub = opened.use(new Scrub(stores, { everyMs: options.scrubEveryMs ?? weekMs }));
  const upstreams = options.upstreams && opened.use(new PullThrough(stores, options.upstreams));
  if (options.upstreams) opened.use(new Eviction(stores, pulls, options.upstreams.rules));
  const files = opened.use(new FileSender());
  const held = opened.move();
  const parts = { uploads, files, pulls, collector, scrub, upstreams };
  return { ...stores, ...parts, [Symbol.asyncDispose]: () => held.disposeAsync() };
}
