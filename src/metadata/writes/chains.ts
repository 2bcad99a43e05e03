import { EngineError } from '#errdefs';
import { type ChainID, chainIDs, type DiffID } from '#oci';
import { type Connection, integer, optionalText, text } from '#sqlite';

/** What keeps the layers of a chain in the store; `key` names the image, the container, the build cache record or the journal's entry. */
export interface ChainHolder {
  readonly kind: 'image' | 'container' | 'build-cache' | 'undo';
  readonly key: string;
}

/**
 * Layers are kept by chains: a holder names the top one, and each chain that is in use counts as one use of the chain it stands on. So an image
 * that adds a layer to another costs the same however deep that one is. What undo keeps is counted apart, for it is no use.
 * @throws `failed-precondition` when a layer is not in the store.
 */
export function holdChain(database: Connection, holder: ChainHolder, diffIDs: readonly DiffID[]): void {
  recordChains(database, diffIDs);
  const top = chainIDs(diffIDs).at(-1);
  if (top !== undefined) addHolder(database, holder, top);
}

/** As much from the bottom up as the store has: for what stood on layers that were lost since. */
export function holdWhatIsLeft(database: Connection, holder: ChainHolder, diffIDs: readonly DiffID[]): void {
  const lost = diffIDs.findIndex((diffID) => !database.get('SELECT 1 FROM blobs WHERE digest = ?', diffID));
  holdChain(database, holder, lost === -1 ? diffIDs : diffIDs.slice(0, lost));
}

/** Another holder of what `from` holds. */
export function holdAs(database: Connection, holder: ChainHolder, from: ChainHolder): void {
  for (const chain of heldChains(database, from)) addHolder(database, holder, chain);
}

export function releaseChains(database: Connection, holder: ChainHolder): void {
  for (const chain of heldChains(database, holder)) {
    database.run(
      'DELETE FROM chain_holders WHERE kind = ? AND holder = ? AND chain_id = ?',
      holder.kind,
      holder.key,
      chain,
    );
    count(database, holder, { chain, by: -1 });
  }
}

/** The topmost chain of each that it stands on. */
export function heldChains(database: Connection, { kind, key }: ChainHolder): ChainID[] {
  const rows = database.all('SELECT chain_id FROM chain_holders WHERE kind = ? AND holder = ?', kind, key);
  return rows.map((row) => text(row, 'chain_id') as ChainID);
}

/** @throws `failed-precondition` naming a layer that has no row: what stands on it would stand on nothing. */
export function requireLayers(database: Connection, diffIDs: readonly DiffID[], what: string): void {
  const chains = chainIDs(diffIDs);
  for (let index = chains.length - 1; index >= 0; index--) {
    // What is in use is there, with all that is below it.
    if (database.get('SELECT 1 FROM chains WHERE chain_id = ? AND uses > 0', chains[index]!)) return;
    if (!database.get('SELECT 1 FROM layers WHERE diff_id = ?', diffIDs[index]!))
      throw new EngineError('failed-precondition', `${what}: layer ${diffIDs[index]} is not in the store`);
  }
}

function addHolder(database: Connection, holder: ChainHolder, chain: ChainID): void {
  const added = database.run(
    'INSERT INTO chain_holders VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    holder.kind,
    holder.key,
    chain,
  );
  if (added === 1) count(database, holder, { chain, by: 1 });
}

/** Goes down only where the chain's first use began, or its last one ended. */
function count(database: Connection, { kind }: ChainHolder, { chain, by }: { chain: ChainID; by: 1 | -1 }): void {
  const column = kind === 'undo' ? 'undo_uses' : 'uses';
  const sql = `UPDATE chains SET ${column} = ${column} + ? WHERE chain_id = ? RETURNING ${column} AS uses, parent_id`;
  for (let at: string | undefined = chain; at !== undefined; ) {
    const row = database.get(sql, by, at);
    const hasTurned = row !== undefined && integer(row, 'uses') === (by === 1 ? 1 : 0);
    at = hasTurned ? optionalText(row, 'parent_id') : undefined;
  }
}

/** Remembers which chains go through which layers; drivers derive files for some of them. */
function recordChains(database: Connection, diffIDs: readonly DiffID[]): void {
  const chains = chainIDs(diffIDs);
  // A chain that is known stands on known ones.
  const known = chains.findLastIndex((chain) => database.get('SELECT 1 FROM chains WHERE chain_id = ?', chain));
  for (let index = known + 1; index < chains.length; index++) {
    const added = database.run(
      'INSERT INTO chains (chain_id, diff_id, parent_id) SELECT ?, digest, ? FROM blobs WHERE digest = ?',
      chains[index]!,
      chains[index - 1] ?? null,
      diffIDs[index]!,
    );
    if (added === 0)
      throw new EngineError('failed-precondition', `record chain: layer ${diffIDs[index]} is not in the store`);
  }
}
