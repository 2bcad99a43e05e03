import type { ChainID, DiffID } from '#oci';
import { type Connection, optionalText, type Row, text } from '#sqlite';
import type { ChainHolder } from './writes/chains.ts';

interface Link {
  readonly diffID: DiffID;
  readonly parent: string | undefined;
}

/** The chains of a store and what holds them, at one moment. */
export class ChainTree {
  readonly #reader: Connection;
  readonly #links: ReadonlyMap<string, Link>;

  constructor(reader: Connection) {
    this.#reader = reader;
    this.#links = new Map(reader.all('SELECT chain_id, diff_id, parent_id FROM chains').map(link));
  }

  /** From the top down; ends at a chain that `seen` has, and adds to it. */
  *layers(top: ChainID | string, seen: Set<string> = new Set()): Generator<DiffID> {
    for (let at: string | undefined = top; at !== undefined && !seen.has(at); ) {
      seen.add(at);
      const found: Link | undefined = this.#links.get(at);
      if (found) yield found.diffID;
      at = found?.parent;
    }
  }

  *holders(): Generator<ChainHolder & { readonly chain: ChainID }> {
    for (const row of this.#reader.all('SELECT kind, holder, chain_id FROM chain_holders ORDER BY kind, holder'))
      yield { ...holder(row), chain: text(row, 'chain_id') as ChainID };
  }

  /** Of each layer that the journal keeps, the oldest entry that does. */
  oldestUndo(): Map<DiffID, number> {
    const undos = [...this.holders()].filter(({ kind }) => kind === 'undo');
    const seen = new Set<string>();
    const oldest = new Map<DiffID, number>();
    for (const { key, chain } of undos.sort((one, other) => Number(one.key) - Number(other.key))) {
      for (const diffID of this.layers(chain, seen)) if (!oldest.has(diffID)) oldest.set(diffID, Number(key));
    }
    return oldest;
  }
}

/** What holds chains that go through the layer. */
export function holdersOf(reader: Connection, diffID: string): ChainHolder[] {
  const rows = reader.all(
    `WITH RECURSIVE above (chain_id) AS (
       SELECT chain_id FROM chains WHERE diff_id = ?
       UNION SELECT chains.chain_id FROM chains JOIN above ON chains.parent_id = above.chain_id
     ) SELECT DISTINCT kind, holder FROM chain_holders JOIN above USING (chain_id) ORDER BY kind, holder`,
    diffID,
  );
  return rows.map(holder);
}

function link(row: Row): [string, Link] {
  return [text(row, 'chain_id'), { diffID: text(row, 'diff_id') as DiffID, parent: optionalText(row, 'parent_id') }];
}

function holder(row: Row): ChainHolder {
  return { kind: text(row, 'kind') as ChainHolder['kind'], key: text(row, 'holder') };
}
