import type { Digest } from '#oci';
import type { MetaStore, Occupant } from '../store/meta-store.ts';
import type { EvictionCall } from './eviction.ts';
import { type UpstreamRule, upstreamOf } from './rules.ts';

const batch = 2000;
/** Going a little below the limit, it is not reached again with the next pull. */
const lowWater = 0.9;

interface Copy {
  readonly repository: string;
  readonly digest: Digest;
  readonly usedMs: number;
  readonly blobs: Digest[];
}

/** What the copies of one rule take. A blob that several of them have counts once. */
interface Occupancy {
  readonly copies: Copy[];
  readonly blobs: Map<Digest, { readonly sizeBytes: number; users: number }>;
  totalBytes: number;
}

/** Removes what was pulled longest ago from rules whose copies take more than they may. Answers how many manifests. */
export async function evictBySize(call: EvictionCall): Promise<number> {
  const { rules, stores, isOver } = call;
  if (rules.every(({ keepBytes }) => keepBytes === undefined)) return 0;
  const youngestMs = Date.now() - stores.retention.inUseMs;
  let removed = 0;
  for (const [rule, occupancy] of await measure(stores.meta, rules, isOver)) {
    if (occupancy.totalBytes <= rule.keepBytes!) continue;
    for (const copy of occupancy.copies.sort((a, b) => a.usedMs - b.usedMs)) {
      const isEnough = occupancy.totalBytes <= rule.keepBytes! * lowWater;
      if (isOver() || isEnough || copy.usedMs > youngestMs) break;
      if (await stores.meta.removeManifest(copy.repository, copy.digest)) removed++;
      letGo(occupancy, copy);
    }
  }
  return removed;
}

async function measure(
  meta: Pick<MetaStore, 'occupancy'>,
  rules: readonly UpstreamRule[],
  isOver: () => boolean,
): Promise<Map<UpstreamRule, Occupancy>> {
  const measured = new Map<UpstreamRule, Occupancy>();
  let after: Occupant | undefined;
  while (!isOver()) {
    const found = await meta.occupancy({ after, limit: batch });
    for (const one of found) {
      const rule = upstreamOf(rules, one.repository)?.rule;
      if (rule?.keepBytes === undefined) continue;
      let occupancy = measured.get(rule);
      if (!occupancy) measured.set(rule, (occupancy = { copies: [], blobs: new Map(), totalBytes: 0 }));
      add(occupancy, one);
    }
    after = found.at(-1);
    if (found.length < batch) break;
  }
  return measured;
}

/** In the order of the store: one manifest's blobs follow each other. */
function add(occupancy: Occupancy, { repository, manifest, digest, sizeBytes, usedMs }: Occupant): void {
  let copy = occupancy.copies.at(-1);
  if (copy?.repository !== repository || copy.digest !== manifest) {
    copy = { repository, digest: manifest, usedMs, blobs: [] };
    occupancy.copies.push(copy);
  }
  copy.blobs.push(digest);
  const known = occupancy.blobs.get(digest);
  if (known) known.users++;
  else {
    occupancy.blobs.set(digest, { sizeBytes, users: 1 });
    occupancy.totalBytes += sizeBytes;
  }
}

function letGo(occupancy: Occupancy, { blobs }: Copy): void {
  for (const digest of blobs) {
    const blob = occupancy.blobs.get(digest)!;
    if (--blob.users === 0) occupancy.totalBytes -= blob.sizeBytes;
  }
}
