import { chainID, type DiffID } from '#oci';
import { type Connection, integer, text } from '#sqlite';
import type { ImageRecord } from './types.ts';

/** Chains whose number of uses is not how many things stand on them: the collector goes by it. */
export function* chainCountFaults(reader: Connection): Generator<string> {
  for (const [column, condition, what] of [
    ['uses', "kind <> 'undo'", 'uses'],
    ['undo_uses', "kind = 'undo'", 'uses by undo'],
  ] as const) {
    const rows = reader.all(
      `SELECT chain_id, ${column} AS counted,
         (SELECT count(*) FROM chain_holders WHERE chain_holders.chain_id = chains.chain_id AND ${condition})
         + (SELECT count(*) FROM chains AS above WHERE above.parent_id = chains.chain_id AND above.${column} > 0) AS found
       FROM chains WHERE counted <> found`,
    );
    for (const row of rows)
      yield `database: chain ${text(row, 'chain_id')} is noted to have ${integer(row, 'counted')} ${what}, and has ${integer(row, 'found')}`;
  }
}

export function* heldChainFaults(reader: Connection, image: ImageRecord): Generator<string> {
  const top = chainID(image.diffIDs);
  if (top === undefined || holds(reader, 'image', image.id, top)) return;
  yield `database: image ${image.id} does not keep its layers`;
}

/** Layers of containers and build cache records that are not here, and holders that nobody has a record of. */
export function* otherHolderFaults(reader: Connection): Generator<string> {
  yield* lostLayers(reader);
  const nobodys = reader.all(
    `SELECT kind, holder FROM chain_holders WHERE
       kind = 'image' AND holder NOT IN (SELECT id FROM images) OR kind = 'container' AND holder NOT IN (SELECT id FROM containers)
       OR kind = 'build-cache' AND holder NOT IN (SELECT key FROM build_cache)
       OR kind = 'undo' AND holder NOT IN (SELECT CAST(number AS TEXT) FROM journal)`,
  );
  for (const row of nobodys)
    yield `database: layers are kept for ${text(row, 'kind')} ${text(row, 'holder')}, which is not there`;
}

function* lostLayers(reader: Connection): Generator<string> {
  const known = new Set(reader.all('SELECT diff_id FROM layers').map((row) => text(row, 'diff_id')));
  const containers = reader.all('SELECT id AS key, body FROM containers').map((row) => {
    const { chain = [], mountedChains = [] } = JSON.parse(text(row, 'body')) as ContainerLayers;
    return { subject: `container ${text(row, 'key')}`, layers: [chain, ...mountedChains].flat() };
  });
  const records = reader.all('SELECT key, body FROM build_cache').map((row) => {
    const { result } = JSON.parse(text(row, 'body')) as { result: { diffIDs: readonly DiffID[] } };
    return { subject: `build cache record ${text(row, 'key')}`, layers: result.diffIDs };
  });
  for (const { subject, layers } of [...containers, ...records]) {
    for (const diffID of new Set(layers))
      if (!known.has(diffID)) yield `${subject}: layer ${diffID} is not in the store`;
  }
}

interface ContainerLayers {
  readonly chain?: readonly DiffID[];
  readonly mountedChains?: readonly (readonly DiffID[])[];
}

function holds(reader: Connection, kind: string, holder: string, chain: string): boolean {
  const sql = 'SELECT 1 FROM chain_holders WHERE kind = ? AND holder = ? AND chain_id = ?';
  return reader.get(sql, kind, holder, chain) !== undefined;
}
