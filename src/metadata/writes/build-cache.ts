import type { Connection } from '#sqlite';
import type { BuildCacheRecord, Keeping } from '../types.ts';
import { holdChain, releaseChains, requireLayers } from './chains.ts';
import { keepCacheRecord } from './journal.ts';

/** The part of a record that never changes. */
export type BuildCacheBody = Omit<BuildCacheRecord, 'lastUsedMs' | 'usageCount'>;

export const buildCacheWrites = {
  'buildCache.put'(database: Connection, record: BuildCacheRecord): void {
    const { lastUsedMs, usageCount, ...body } = record;
    requireLayers(database, record.result.diffIDs, `put build cache record ${record.key}`);
    database.run(
      `INSERT INTO build_cache (key, body, last_used_ms, usage_count) VALUES (?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET body = excluded.body, last_used_ms = excluded.last_used_ms, usage_count = excluded.usage_count`,
      record.key,
      JSON.stringify(body satisfies BuildCacheBody),
      lastUsedMs,
      usageCount,
    );
    const holder = { kind: 'build-cache', key: record.key } as const;
    releaseChains(database, holder);
    holdChain(database, holder, record.result.diffIDs);
  },

  'buildCache.touch'(database: Connection, { key, atMs }: { key: string; atMs: number }): void {
    database.run(
      'UPDATE build_cache SET last_used_ms = max(last_used_ms, ?), usage_count = usage_count + 1 WHERE key = ?',
      atMs,
      key,
    );
  },

  'buildCache.remove'(
    database: Connection,
    { keys, keep }: { keys: readonly string[]; keep: Keeping | undefined },
  ): void {
    for (const key of keys) {
      keepCacheRecord(database, keep, key);
      releaseChains(database, { kind: 'build-cache', key });
      database.run('DELETE FROM build_cache WHERE key = ?', key);
    }
  },
};
