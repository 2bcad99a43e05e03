import type { ChainID, Digest } from '#oci';
import { type Connection, integer, optionalText, text } from '#sqlite';

/** A row that is gone; its files are next. */
export interface DroppedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Present when it was a layer: the chains it was part of. */
  readonly chains: readonly ChainID[] | undefined;
}

/** Knowledge of compressed forms outlives the layer, for the next time it comes; not for ever. */
const originMemoryMs = 90 * 24 * 3_600_000;

export const garbageWrites = {
  /** Drops the rows of those digests that are still garbage. */
  'garbage.drop'(database: Connection, digests: readonly Digest[]): DroppedBlob[] {
    return digests.flatMap((digest) => {
      const row = database.get('SELECT size FROM garbage WHERE digest = ?', digest);
      return row ? [drop(database, digest, integer(row, 'size'))] : [];
    });
  },

  'garbage.forgetOrigins'(database: Connection, nowMs: number): void {
    database.run(
      'DELETE FROM origins WHERE seen_ms < ? AND diff_id NOT IN (SELECT diff_id FROM layers)',
      nowMs - originMemoryMs,
    );
  },

  /** SQLite's own checks: one line per fault. */
  'database.check'(database: Connection): string[] {
    const integrity = database.all('PRAGMA integrity_check').map((row) => text(row, 'integrity_check'));
    const foreign = database
      .all('PRAGMA foreign_key_check')
      .map((row) => `a row of ${text(row, 'table')} refers to a missing row of ${text(row, 'parent')}`);
    return [...integrity.filter((line) => line !== 'ok'), ...foreign].map((line) => `database: ${line}`);
  },
};

function drop(database: Connection, digest: Digest, sizeBytes: number): DroppedBlob {
  const isLayer = database.get('SELECT 1 FROM layers WHERE diff_id = ?', digest) !== undefined;
  const chains = chainsThrough(database, digest);
  for (const chain of chains) database.run('DELETE FROM chains WHERE chain_id = ?', chain);
  database.run('DELETE FROM layers WHERE diff_id = ?', digest);
  database.run('DELETE FROM blobs WHERE digest = ?', digest);
  return {
    digest,
    sizeBytes,
    chains: isLayer ? chains : undefined,
  };
}

/** Those that end in the layer, and those that stand on them, whose own last layer may live on in another chain: what stands on another comes first. */
function chainsThrough(database: Connection, diffID: Digest): ChainID[] {
  const rows = database.all(
    `WITH RECURSIVE through (chain_id, parent_id) AS (
       SELECT chain_id, parent_id FROM chains WHERE diff_id = ?
       UNION SELECT chains.chain_id, chains.parent_id FROM chains JOIN through ON chains.parent_id = through.chain_id
     ) SELECT chain_id, parent_id FROM through`,
    diffID,
  );
  const parents = new Map(rows.map((row) => [text(row, 'chain_id') as ChainID, optionalText(row, 'parent_id')]));
  const depths = new Map<string, number>();
  for (const chain of parents.keys()) {
    const path: string[] = [];
    for (let at: string | undefined = chain; at !== undefined && parents.has(at as ChainID) && !depths.has(at); ) {
      path.push(at);
      at = parents.get(at as ChainID);
    }
    for (const at of path.reverse()) depths.set(at, (depths.get(parents.get(at as ChainID) ?? '') ?? -1) + 1);
  }
  return [...parents.keys()].sort((one, other) => depths.get(other)! - depths.get(one)!);
}
