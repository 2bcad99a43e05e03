import { type ChainID, chainIDs, type DiffID } from '#oci';
import { type Connection, optionalText, type Row, text } from '#sqlite';

/**
 * The step of the schema in which images, containers, build cache records and the journal stopped naming each of their layers (a row per layer and
 * image: the square of a build's depth) and began to hold the chain on top. Part of the migrations: never changed once released.
 */
export function layersToChains(database: Connection): void {
  database.exec(newTables);
  for (const { kind, key, chain } of holders(database)) {
    if (!hold(database, { kind, key, chain }) || kind !== 'image') continue;
    // The chain keeps them from now on. What has lost a layer keeps its others by these rows, as before.
    const layers = JSON.stringify(chain);
    database.run(
      'DELETE FROM image_blobs WHERE image_id = ? AND digest IN (SELECT value FROM json_each(?))',
      key,
      layers,
    );
  }
  for (const [column, condition] of [
    ['uses', "kind <> 'undo'"],
    ['undo_uses', "kind = 'undo'"],
  ] as const) {
    for (const [chain, uses] of usesOf(database, condition))
      database.run(`UPDATE chains SET ${column} = ? WHERE chain_id = ?`, uses, chain);
  }
  database.exec(endOfOldTables);
}

const newTables = `
  DROP VIEW garbage;
  DROP VIEW unused;
  ALTER TABLE chains RENAME TO old_chains;
  DROP INDEX chains_by_layer;
  DROP INDEX chains_by_parent;

  CREATE TABLE chains (
    chain_id TEXT PRIMARY KEY, diff_id TEXT NOT NULL REFERENCES blobs (digest), parent_id TEXT REFERENCES chains (chain_id),
    uses INTEGER NOT NULL DEFAULT 0, undo_uses INTEGER NOT NULL DEFAULT 0
  ) WITHOUT ROWID;
  CREATE INDEX chains_by_layer ON chains (diff_id);
  CREATE INDEX chains_by_parent ON chains (parent_id);
  CREATE INDEX chains_in_use ON chains (diff_id) WHERE uses > 0;
  CREATE INDEX chains_in_undo ON chains (diff_id) WHERE undo_uses > 0;
  CREATE TABLE chain_holders (
    kind TEXT NOT NULL, holder TEXT NOT NULL, chain_id TEXT NOT NULL REFERENCES chains (chain_id), PRIMARY KEY (kind, holder, chain_id)
  ) WITHOUT ROWID;
  CREATE INDEX chain_holders_by_chain ON chain_holders (chain_id);

  INSERT INTO chains (chain_id, diff_id, parent_id)
    WITH RECURSIVE whole (chain_id, diff_id, parent_id) AS (
      SELECT chain_id, diff_id, NULL FROM old_chains WHERE chain_id = diff_id
      UNION SELECT old_chains.chain_id, old_chains.diff_id, old_chains.parent_id
        FROM old_chains JOIN whole ON old_chains.parent_id = whole.chain_id WHERE old_chains.diff_id IN (SELECT digest FROM blobs)
    ) SELECT * FROM whole WHERE diff_id IN (SELECT digest FROM blobs);
`;

const endOfOldTables = `
  DROP TABLE old_chains;
  DROP TABLE container_layers;
  DROP TABLE build_cache_layers;

  CREATE VIEW unused AS SELECT digest, size FROM blobs WHERE
    NOT EXISTS (SELECT 1 FROM image_blobs WHERE image_blobs.digest = blobs.digest)
    AND NOT EXISTS (SELECT 1 FROM chains WHERE diff_id = blobs.digest AND uses > 0)
    AND NOT EXISTS (SELECT 1 FROM lease_digests WHERE lease_digests.digest = blobs.digest);
  CREATE VIEW garbage AS SELECT digest, size FROM unused WHERE
    NOT EXISTS (SELECT 1 FROM journal_blobs WHERE journal_blobs.digest = unused.digest)
    AND NOT EXISTS (SELECT 1 FROM chains WHERE diff_id = unused.digest AND undo_uses > 0);
`;

interface Holder {
  readonly kind: 'image' | 'container' | 'build-cache' | 'undo';
  readonly key: string;
  readonly chain: readonly DiffID[];
}

/** A row that is no JSON any more holds nothing here; of an image its old rows remain. */
function* holders(database: Connection): Generator<Holder> {
  for (const row of database.all('SELECT id, body FROM images'))
    for (const chain of chainsOf('image', parsed(row))) yield { kind: 'image', key: text(row, 'id'), chain };
  for (const row of database.all('SELECT id, body FROM containers'))
    for (const chain of chainsOf('container', parsed(row))) yield { kind: 'container', key: text(row, 'id'), chain };
  for (const row of database.all('SELECT key, body FROM build_cache'))
    for (const chain of chainsOf('build-cache', parsed(row)))
      yield { kind: 'build-cache', key: text(row, 'key'), chain };
  const changes = "SELECT number, kind, body FROM journal_changes WHERE kind IN ('image', 'container', 'build-cache')";
  for (const row of database.all(changes)) {
    const kind = text(row, 'kind') as Holder['kind'];
    const { image, row: kept } = parsed(row) as { image?: Row; row?: Row };
    const was = image ?? kept;
    for (const chain of was ? chainsOf(kind, parsed(was)) : [])
      yield { kind: 'undo', key: String(row['number']), chain };
  }
}

function parsed(row: Row): unknown {
  try {
    return JSON.parse(text(row, 'body'));
  } catch {
    return {};
  }
}

function chainsOf(kind: Holder['kind'], body: unknown): (readonly DiffID[])[] {
  const { diffIDs, chain, mountedChains, result } = body as {
    diffIDs?: readonly DiffID[];
    chain?: readonly DiffID[];
    mountedChains?: readonly (readonly DiffID[])[];
    result?: { diffIDs?: readonly DiffID[] };
  };
  if (kind === 'image') return [diffIDs ?? []];
  return kind === 'container' ? [chain ?? [], ...(mountedChains ?? [])] : [result?.diffIDs ?? []];
}

/** As much of the chain as the store has, from the bottom up; answers whether that is all of it. */
function hold(database: Connection, { kind, key, chain }: Holder): boolean {
  const chains = chainIDs(chain);
  let count = chains.findLastIndex((id) => database.get('SELECT 1 FROM chains WHERE chain_id = ?', id)) + 1;
  while (count < chains.length && record(database, chain[count]!, chains[count]!, chains[count - 1])) count++;
  if (count > 0)
    database.run('INSERT INTO chain_holders VALUES (?, ?, ?) ON CONFLICT DO NOTHING', kind, key, chains[count - 1]!);
  return count === chains.length;
}

function record(database: Connection, diffID: DiffID, own: ChainID, parent: ChainID | undefined): boolean {
  const sql = 'INSERT INTO chains (chain_id, diff_id, parent_id) SELECT ?, digest, ? FROM blobs WHERE digest = ?';
  return database.run(sql, own, parent ?? null, diffID) === 1;
}

/** A chain counts its holders, and the chains in use that stand on it. */
function usesOf(database: Connection, condition: string): Map<string, number> {
  const parents = new Map(
    database
      .all('SELECT chain_id, parent_id FROM chains')
      .map((row) => [text(row, 'chain_id'), optionalText(row, 'parent_id')]),
  );
  const uses = new Map<string, number>();
  for (const row of database.all(`SELECT chain_id FROM chain_holders WHERE ${condition}`)) {
    let isNew = true;
    for (let at: string | undefined = text(row, 'chain_id'); at !== undefined && isNew; at = parents.get(at)) {
      isNew = !uses.has(at);
      uses.set(at, (uses.get(at) ?? 0) + 1);
    }
  }
  return uses;
}
