import type { EvictionCall } from './eviction.ts';
import { upstreamOf } from './rules.ts';

const batch = 500;

/** Removes what nobody has pulled for as long as its rule says. Answers how many manifests. */
export async function evictByAge({ stores: { meta }, rules, isOver }: EvictionCall): Promise<number> {
  const shortestMs = Math.min(...rules.map(({ keepMs }) => keepMs ?? Number.POSITIVE_INFINITY));
  if (shortestMs === Number.POSITIVE_INFINITY) return 0;
  const nowMs = Date.now();
  let removed = 0;
  let after: { repository: string; digest: string } | undefined;
  while (!isOver()) {
    const found = await meta.unused({ beforeMs: nowMs - shortestMs, after, limit: batch });
    for (const { repository, digest, usedMs } of found) {
      const keepMs = upstreamOf(rules, repository)?.rule.keepMs;
      if (keepMs !== undefined && usedMs < nowMs - keepMs && (await meta.removeManifest(repository, digest))) removed++;
    }
    after = found.at(-1);
    if (found.length < batch) break;
  }
  return removed;
}
