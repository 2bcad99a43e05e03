import { EngineError } from '#errdefs';
import type { Digest } from '#oci';
import { type Connection, integer, type Row, text } from '#sqlite';
import type { ContainerDocument, DroppedEntry, Keeping, KeptKind, Restored } from '../types.ts';
import type { BuildCacheBody } from './build-cache.ts';
import { holdChain, releaseChains, requireLayers } from './chains.ts';
import { type ImageBody, nameRow, putName } from './images.ts';
import {
  column,
  type KeptImage,
  type KeptNames,
  type KeptRow,
  keepContainer,
  keepVolume,
  type MovedName,
} from './journal.ts';

export const journalWrites = {
  'journal.retire'(
    database: Connection,
    { containers, volumes, keep }: { containers: readonly string[]; volumes: readonly string[]; keep: Keeping },
  ): void {
    for (const name of volumes) {
      keepVolume(database, keep, name);
      database.run('DELETE FROM volumes WHERE name = ?', name);
    }
    for (const id of containers) {
      keepContainer(database, keep, id);
      releaseChains(database, { kind: 'container', key: id });
      database.run('DELETE FROM containers WHERE id = ?', id);
    }
  },

  'journal.restore'(database: Connection, number: number): Restored {
    const changes = database.all(
      'SELECT kind, key, body FROM journal_changes WHERE number = ? ORDER BY step DESC',
      number,
    );
    if (changes.length === 0) throw new EngineError('not-found', `undo ${number}: nothing of it is kept`);
    const restoring = new Restoring(database, number);
    for (const change of changes) restoring.take(change);
    forget(database, number);
    return restoring.result();
  },

  'journal.drop'(database: Connection, numbers: readonly number[]): DroppedEntry[] {
    return numbers.map((number) => {
      const keys = (kind: KeptKind) =>
        column(database, `SELECT key AS value FROM journal_changes WHERE kind = '${kind}' AND number = ?`, `${number}`);
      const dropped = { number, containers: keys('container'), volumes: keys('volume') };
      forget(database, number);
      return dropped;
    });
  },

  'journal.measured'(database: Connection, { number, bytes }: { number: number; bytes: number }): void {
    database.run('UPDATE journal SET folder_bytes = ? WHERE number = ?', bytes, number);
  },
};

/** One entry on its way back, last change first. */
class Restoring {
  readonly #database: Connection;
  readonly #number: number;
  readonly #images: Digest[] = [];
  readonly #names: { name: string; imageID: Digest }[] = [];
  readonly #containers: ContainerDocument[] = [];
  readonly #volumes: string[] = [];
  readonly #cacheKeys: string[] = [];
  readonly #notes: string[] = [];
  /** What the entry wanted is as it wanted it, without its doing. */
  #isThere = false;

  constructor(database: Connection, number: number) {
    this.#database = database;
    this.#number = number;
  }

  take(change: Row): void {
    const body = JSON.parse(text(change, 'body')) as unknown;
    const key = text(change, 'key');
    const kind = text(change, 'kind') as KeptKind;
    if (kind === 'image') this.#image(key as Digest, body as KeptImage);
    else if (kind === 'names') this.#namesOf(key as Digest, body as KeptNames);
    else if (kind === 'moved') this.#moved(body as MovedName);
    else if (kind === 'container') this.#container(body as KeptRow);
    else if (kind === 'volume') this.#volume(body as KeptRow);
    else this.#cacheRecord(body as KeptRow);
  }

  /** @throws `conflict` when nothing came back. */
  result(): Restored {
    const restored = {
      images: this.#images,
      names: this.#names,
      containers: this.#containers,
      volumes: this.#volumes,
      cacheKeys: this.#cacheKeys,
      notes: this.#notes,
    };
    const { notes, ...back } = restored;
    const isNothing = Object.values(back).every((list) => list.length === 0);
    if (isNothing && notes.length > 0 && !this.#isThere) {
      throw new EngineError('conflict', `undo ${this.#number}: ${notes.join('; ')}`);
    }
    return restored;
  }

  #image(id: Digest, kept: KeptImage): void {
    const parent = kept.image['parent'] as Digest | null;
    if (parent !== null && !this.#hasImage(parent)) this.#requireNoLater('image', parent);
    if (!this.#hasImage(id)) {
      insert(this.#database, 'images', kept.image);
      const { diffIDs } = JSON.parse(text(kept.image, 'body')) as ImageBody;
      this.#blobsOf(id, new Set(kept.blobs).difference(new Set<Digest>(diffIDs)));
      holdChain(this.#database, { kind: 'image', key: id }, diffIDs);
      for (const target of kept.targets) insert(this.#database, 'image_targets', { ...target, image_id: id });
      this.#images.push(id);
    }
    this.#namesOf(id, kept);
  }

  #blobsOf(id: Digest, digests: Iterable<Digest>): void {
    const sql = 'INSERT OR IGNORE INTO image_blobs SELECT ?, digest FROM blobs WHERE digest = ?';
    for (const digest of digests) this.#database.run(sql, id, digest);
  }

  #namesOf(id: Digest, { names, nameTargets, repoDigests }: KeptNames): void {
    this.#requireImage(id, names[0] ?? repoDigests[0] ?? id);
    for (const name of names) {
      const holder = this.#holderOf(name);
      if (holder === undefined) {
        putName(this.#database, { name, id, target: nameTargets?.[name] });
        this.#names.push({ name, imageID: id });
      } else if (holder === id) this.#isThere = true;
      else this.#notes.push(`${name} names another image by now, ${holder}: it stays there, ${id} is without it`);
    }
    for (const name of repoDigests) this.#database.run('INSERT OR IGNORE INTO repo_digests VALUES (?, ?)', name, id);
    if (repoDigests.length > 0) this.#isThere = true;
  }

  #moved({ name, from, fromTarget, to }: MovedName): void {
    const holder = this.#holderOf(name);
    if (holder === from) {
      this.#isThere = true;
      return;
    }
    if (holder !== undefined && holder !== to) {
      this.#notes.push(`${name} was moved again since, to ${holder}: it stays there`);
      return;
    }
    this.#requireImage(from, name);
    putName(this.#database, { name, id: from, target: fromTarget });
    this.#names.push({ name, imageID: from });
  }

  #container({ row }: KeptRow): void {
    const name = text(row, 'name');
    const holder = this.#database.get('SELECT id FROM containers WHERE name = ?', name);
    if (holder) throw this.#taken('container', name.replace(/^\//, ''), text(holder, 'id'));
    insert(this.#database, 'containers', row);
    const document = JSON.parse(text(row, 'body')) as ContainerDocument;
    for (const chain of [document.chain, ...(document.mountedChains ?? [])]) {
      requireLayers(this.#database, chain, `undo ${this.#number}: container ${name}`);
      holdChain(this.#database, { kind: 'container', key: document.id }, chain);
    }
    this.#containers.push(document);
  }

  #volume({ row }: KeptRow): void {
    const name = text(row, 'name');
    if (this.#database.get('SELECT 1 FROM volumes WHERE name = ?', name)) throw this.#taken('volume', name);
    insert(this.#database, 'volumes', row);
    this.#volumes.push(name);
  }

  #cacheRecord({ row }: KeptRow): void {
    const key = text(row, 'key');
    if (this.#database.get('SELECT 1 FROM build_cache WHERE key = ?', key)) {
      this.#isThere = true;
      return;
    }
    insert(this.#database, 'build_cache', row);
    const { result } = JSON.parse(text(row, 'body')) as BuildCacheBody;
    holdChain(this.#database, { kind: 'build-cache', key }, result.diffIDs);
    this.#cacheKeys.push(key);
  }

  #taken(what: string, name: string, by?: string): EngineError {
    const holder = by === undefined ? '' : ` by ${by}`;
    return new EngineError(
      'conflict',
      `undo ${this.#number}: the ${what} name "${name}" is in use${holder}: remove or rename that one first`,
    );
  }

  #hasImage(id: Digest): boolean {
    return this.#database.get('SELECT 1 FROM images WHERE id = ?', id) !== undefined;
  }

  #holderOf(name: string): Digest | undefined {
    return nameRow(this.#database, name)?.id;
  }

  #requireImage(id: Digest, name: string): void {
    if (this.#hasImage(id)) return;
    this.#requireNoLater('image', id);
    throw new EngineError('conflict', `undo ${this.#number}: ${name}: image ${id} is gone`);
  }

  /** @throws `conflict` naming the entry that has to come back first. */
  #requireNoLater(kind: KeptKind, key: string): void {
    const row = this.#database.get(
      'SELECT max(number) AS number FROM journal_changes WHERE kind = ? AND key = ? AND number <> ?',
      kind,
      key,
      this.#number,
    );
    if (row?.['number'] === null || row === undefined) return;
    const later = integer(row, 'number');
    throw new EngineError(
      'conflict',
      `undo ${this.#number}: ${kind} ${key} was removed by ${later}: undo ${later} first`,
    );
  }
}

/** What only the entry kept is garbage from now on. */
function forget(database: Connection, number: number): void {
  releaseChains(database, { kind: 'undo', key: `${number}` });
  database.run('DELETE FROM journal WHERE number = ?', number);
}

/** A row as it was; the columns are its own. */
function insert(database: Connection, table: string, row: Row): void {
  const columns = Object.keys(row);
  database.run(
    `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
    ...(Object.values(row) as (string | number | null)[]),
  );
}
