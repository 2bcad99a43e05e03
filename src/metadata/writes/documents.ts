import { EngineError } from '#errdefs';
import { chainID, type DiffID, type Digest } from '#oci';
import { type Connection, text } from '#sqlite';
import { heldChains, holdWhatIsLeft, releaseChains, requireLayers } from './chains.ts';
import { requireImage } from './images.ts';

export type DocumentTableName = 'containers' | 'networks' | 'volumes';

export interface PutDocument {
  readonly table: DocumentTableName;
  readonly id: string;
  readonly name: string;
  /** The document as JSON. */
  readonly body: string;
  /** Layers it stands on. */
  readonly chains: readonly (readonly DiffID[])[];
}

export const documentWrites = {
  'documents.put'(database: Connection, put: PutDocument): void {
    const { table, id, name, body } = put;
    const holder = database.get(`SELECT id FROM ${table} WHERE name = ? AND id <> ?`, name, id);
    if (holder)
      throw new EngineError(
        'already-exists',
        `put ${table.slice(0, -1)}: the name ${JSON.stringify(name)} is already in use by ${text(holder, 'id')}`,
      );
    const isNew = !database.get(`SELECT 1 FROM ${table} WHERE id = ?`, id);
    database.run(
      `INSERT INTO ${table} (id, name, body) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, body = excluded.body`,
      id,
      name,
      body,
    );
    if (table !== 'containers') return;
    if (isNew) requireImageOf(database, id);
    putChains(database, put, isNew);
  },

  'documents.remove'(database: Connection, { table, id }: { table: DocumentTableName; id: string }): void {
    if (table === 'containers') releaseChains(database, { kind: 'container', key: id });
    database.run(`DELETE FROM ${table} WHERE id = ?`, id);
  },

  'settings.put'(database: Connection, { key, value }: { key: string; value: string }): void {
    database.run(
      'INSERT INTO settings VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      key,
      value,
    );
  },
};

/** Its image may have been removed since the container's creation resolved it. */
function requireImageOf(database: Connection, id: string): void {
  const row = database.get('SELECT image_id FROM containers WHERE id = ? AND image_id IS NOT NULL', id);
  if (row) requireImage(database, text(row, 'image_id') as Digest);
}

/** Layers are checked only when the container is new: one whose layers were lost must still be able to record its end. */
function putChains(database: Connection, { id, chains }: PutDocument, isNew: boolean): void {
  const holder = { kind: 'container', key: id } as const;
  const wanted = new Set(chains.flatMap((chain) => chainID(chain) ?? []));
  const held = new Set(heldChains(database, holder));
  if (wanted.size === held.size && wanted.isSubsetOf(held)) return;
  if (isNew) for (const chain of chains) requireLayers(database, chain, `put container ${id}`);
  releaseChains(database, holder);
  for (const chain of chains) holdWhatIsLeft(database, holder, chain);
}
