import { EngineError } from '#errdefs';
import type { DiffID, Digest } from '#oci';
import { type Connection, text } from '#sqlite';
import { recordChains, requireImage, requireLayers } from './images.ts';

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
    putChains(database, id, put.chains);
  },

  'documents.remove'(database: Connection, { table, id }: { table: DocumentTableName; id: string }): void {
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

/** Layers are checked only when a chain is new: a container whose layers were lost must still be able to record its end. */
function putChains(database: Connection, id: string, chains: readonly (readonly DiffID[])[]): void {
  const wanted = new Set<Digest>(chains.flat());
  const held = new Set(
    database
      .all('SELECT diff_id FROM container_layers WHERE container_id = ?', id)
      .map((row) => text(row, 'diff_id') as Digest),
  );
  if (wanted.size === held.size && [...wanted].every((digest) => held.has(digest))) return;
  requireLayers(database, [...wanted] as DiffID[], `put container ${id}`);
  database.run('DELETE FROM container_layers WHERE container_id = ?', id);
  for (const digest of wanted) database.run('INSERT INTO container_layers VALUES (?, ?)', id, digest);
  for (const chain of chains) recordChains(database, chain);
}
