import type { Descriptor, Digest } from '#oci';
import type { Connection, Row } from '#sqlite';
import { text } from '#sqlite';
import type { Keeping, KeptKind } from '../types.ts';
import { type ChainHolder, holdAs } from './chains.ts';

/** How what is removed is written down: called in the transaction that removes it, before it does. Without a keeping nothing is. */
type Keep = Keeping | undefined;

/** The rows of an image. */
export interface KeptImage {
  readonly image: Row;
  readonly targets: readonly Row[];
  /** Those beside its layers, which its row names; entries of earlier programs have these too. */
  readonly blobs: readonly Digest[];
  readonly names: readonly string[];
  readonly nameTargets?: Readonly<Record<string, Descriptor>>;
  readonly repoDigests: readonly string[];
}

/** Names and digested names that an image had, and what those names pointed at that did not point at its own target. */
export type KeptNames = Pick<KeptImage, 'names' | 'nameTargets' | 'repoDigests'>;

/** A name that was given to another image. */
export interface MovedName {
  readonly name: string;
  readonly from: Digest;
  readonly fromTarget?: Descriptor;
  readonly to: Digest;
}

/** The row of a container, volume or build cache record. */
export interface KeptRow {
  readonly row: Row;
}

export function keepImage(database: Connection, keep: Keep, id: Digest): void {
  const image = keep && database.get('SELECT * FROM images WHERE id = ?', id);
  if (!image) return;
  const blobs = column(database, 'SELECT digest AS value FROM image_blobs WHERE image_id = ?', id) as Digest[];
  const kept: KeptImage = {
    image,
    targets: database.all('SELECT digest, set_number FROM image_targets WHERE image_id = ?', id),
    blobs,
    names: column(database, 'SELECT name AS value FROM names WHERE image_id = ?', id),
    ...nameTargets(database, id),
    repoDigests: column(database, 'SELECT name AS value FROM repo_digests WHERE image_id = ?', id),
  };
  write(database, keep, { kind: 'image', key: id, body: kept, blobs, stoodOn: { kind: 'image', key: id } });
}

export function keepNames(database: Connection, keep: Keep, id: Digest, gone: readonly string[]): void {
  if (!keep) return;
  const held = (table: string) =>
    column(database, `SELECT name AS value FROM ${table} WHERE image_id = ?`, id).filter((name) => gone.includes(name));
  const body: KeptNames = { names: held('names'), ...nameTargets(database, id), repoDigests: held('repo_digests') };
  if (body.names.length + body.repoDigests.length > 0) write(database, keep, { kind: 'names', key: id, body });
}

function nameTargets(database: Connection, id: Digest): Pick<KeptNames, 'nameTargets'> {
  const rows = database.all('SELECT name, target FROM names WHERE image_id = ? AND target IS NOT NULL', id);
  if (rows.length === 0) return {};
  return {
    nameTargets: Object.fromEntries(
      rows.map((row) => [text(row, 'name'), JSON.parse(text(row, 'target')) as Descriptor]),
    ),
  };
}

export function keepMovedName(database: Connection, keep: Keep, moved: MovedName): void {
  if (keep) write(database, keep, { kind: 'moved', key: moved.name, body: moved });
}

export function keepContainer(database: Connection, keep: Keep, id: string): void {
  const row = keep && database.get('SELECT number, id, name, body FROM containers WHERE id = ?', id);
  if (!row) return;
  const body: KeptRow = { row };
  write(database, keep, { kind: 'container', key: id, body, stoodOn: { kind: 'container', key: id } });
}

export function keepVolume(database: Connection, keep: Keep, name: string): void {
  const row = keep && database.get('SELECT number, id, name, body FROM volumes WHERE name = ?', name);
  if (row) write(database, keep, { kind: 'volume', key: name, body: { row } satisfies KeptRow });
}

export function keepCacheRecord(database: Connection, keep: Keep, key: string): void {
  const row = keep && database.get('SELECT * FROM build_cache WHERE key = ?', key);
  if (!row) return;
  const body: KeptRow = { row };
  write(database, keep, { kind: 'build-cache', key, body, stoodOn: { kind: 'build-cache', key } });
}

interface Change {
  readonly kind: KeptKind;
  readonly key: string;
  readonly body: unknown;
  readonly blobs?: readonly Digest[];
  /** Whose layers are kept. */
  readonly stoodOn?: ChainHolder;
}

function write(database: Connection, keep: Keeping, { kind, key, body, blobs = [], stoodOn }: Change): void {
  const { number, action, subject, atMs } = keep;
  database.run(
    'INSERT INTO journal (number, action, subject, at_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
    number,
    action,
    subject,
    atMs,
  );
  database.run(
    'INSERT INTO journal_changes SELECT ?1, coalesce(max(step), 0) + 1, ?2, ?3, ?4 FROM journal_changes WHERE number = ?1',
    number,
    kind,
    key,
    JSON.stringify(body),
  );
  // What was lost already can't be kept.
  for (const digest of blobs)
    database.run('INSERT OR IGNORE INTO journal_blobs SELECT ?, digest FROM blobs WHERE digest = ?', number, digest);
  if (stoodOn) holdAs(database, { kind: 'undo', key: `${number}` }, stoodOn);
}

export function column(database: Connection, sql: string, key: string): string[] {
  return database.all(sql, key).map((row) => text(row, 'value'));
}
