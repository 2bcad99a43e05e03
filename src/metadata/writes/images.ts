import { EngineError } from '#errdefs';
import { type Descriptor, type Digest, isIndex } from '#oci';
import { type Connection, optionalText, text } from '#sqlite';
import type { ExpectedImage, Keeping, NewImage, RemoveImageOutcome } from '../types.ts';
import { holdChain, releaseChains } from './chains.ts';
import { keepImage, keepMovedName, keepNames } from './journal.ts';

export interface PutImage {
  readonly image: NewImage;
  readonly names: readonly string[];
  readonly repoDigests: readonly string[];
  /** Sizes of the referenced blobs that have no row yet; their files are in place. */
  readonly newBlobs: readonly { readonly digest: Digest; readonly sizeBytes: number }[];
  readonly nowMs: number;
  readonly keep: Keeping | undefined;
  /** Whom the names go to, when not to the image itself. */
  readonly holder: Digest | undefined;
}

export interface TagImage {
  readonly id: Digest;
  readonly name: string;
  readonly nowMs: number;
  readonly keep: Keeping | undefined;
  readonly target: Descriptor | undefined;
}

/** The part of an image that is one JSON document. */
export type ImageBody = Pick<
  NewImage,
  'target' | 'manifest' | 'platform' | 'diffIDs' | 'sizeBytes' | 'createdMs' | 'isMadeHere' | 'labels'
>;

/** An operation answers the ids of the images whose records changed, unless it says otherwise. */
export const imageWrites = {
  'images.put'(database: Connection, put: PutImage): Digest[] {
    const { image, nowMs } = put;
    addBlobs(database, put.newBlobs, nowMs);
    upsert(database, put);
    const layers = new Set<Digest>(image.diffIDs);
    refer(
      database,
      image.id,
      image.references.filter((digest) => !layers.has(digest)),
    );
    holdChain(database, { kind: 'image', key: image.id }, image.diffIDs);
    for (const digest of new Set([image.target.digest, image.manifest.digest])) addTarget(database, image.id, digest);
    const holder = put.holder ?? image.id;
    const target = isIndex(image.target.mediaType) ? image.target : undefined;
    const changed = put.names.flatMap((name) =>
      point(database, { name, id: holder, target, keep: keepUnlessWithin(database, put, name) }),
    );
    for (const name of put.repoDigests) addRepoDigest(database, image.id, name);
    if (put.names.length > 0) markTagged(database, holder, nowMs);
    return [...new Set([image.id, holder, ...changed])];
  },

  'images.tag'(database: Connection, { id, name, nowMs, keep, target }: TagImage): Digest[] {
    requireImage(database, id);
    const previous = point(database, { name, id, target, keep });
    markTagged(database, id, nowMs);
    return [id, ...previous];
  },

  'images.untag'(
    database: Connection,
    { id, names, keep }: { id: Digest; names: readonly string[]; keep: Keeping | undefined },
  ): Digest[] {
    keepNames(database, keep, id, names);
    for (const name of names) {
      database.run('DELETE FROM names WHERE name = ? AND image_id = ?', name, id);
      database.run('DELETE FROM repo_digests WHERE name = ? AND image_id = ?', name, id);
    }
    return [id];
  },

  'images.addRepoDigest'(database: Connection, { id, name }: { id: Digest; name: string }): Digest[] {
    requireImage(database, id);
    addRepoDigest(database, id, name);
    return [id];
  },

  'images.keepBlobs'(
    database: Connection,
    { id, digests, newBlobs, nowMs }: { id: Digest; digests: readonly Digest[] } & Pick<PutImage, 'newBlobs' | 'nowMs'>,
  ): void {
    addBlobs(database, newBlobs, nowMs);
    if (database.get('SELECT 1 FROM images WHERE id = ?', id)) refer(database, id, digests);
  },

  'images.addIndex'(
    database: Connection,
    { id, index, newBlobs, nowMs }: { id: Digest; index: Digest } & Pick<PutImage, 'newBlobs' | 'nowMs'>,
  ): Digest[] {
    requireImage(database, id);
    addBlobs(database, newBlobs, nowMs);
    refer(database, id, [index]);
    addTarget(database, id, index);
    return [id];
  },

  'images.setByTheWay'(database: Connection, { id, isByTheWay }: { id: Digest; isByTheWay: boolean }): Digest[] {
    const set = isByTheWay ? `json_set(body, '$.isByTheWay', json('true'))` : `json_remove(body, '$.isByTheWay')`;
    database.run(`UPDATE images SET body = ${set} WHERE id = ?`, id);
    return [id];
  },

  'images.releaseBlobs'(database: Connection, { id, digests }: { id: Digest; digests: readonly Digest[] }): void {
    for (const digest of digests) database.run('DELETE FROM image_blobs WHERE image_id = ? AND digest = ?', id, digest);
  },

  'images.remove'(
    database: Connection,
    { id, expected, keep }: { id: Digest; expected: ExpectedImage | undefined; keep: Keeping | undefined },
  ): RemoveImageOutcome {
    const kept = expected && whyKept(database, id, expected);
    if (kept) return kept;
    keepImage(database, keep, id);
    releaseChains(database, { kind: 'image', key: id });
    database.run('DELETE FROM images WHERE id = ?', id);
    return { kind: 'removed' };
  },
};

function addBlobs(database: Connection, blobs: PutImage['newBlobs'], nowMs: number): void {
  for (const { digest, sizeBytes } of blobs)
    database.run('INSERT INTO blobs VALUES (?, ?, ?) ON CONFLICT DO NOTHING', digest, sizeBytes, nowMs);
}

function addTarget(database: Connection, id: Digest, digest: Digest): void {
  database.run(
    `INSERT INTO image_targets VALUES (?1, ?2, (SELECT coalesce(max(set_number), 0) + 1 FROM image_targets WHERE digest = ?1))
     ON CONFLICT DO UPDATE SET set_number = excluded.set_number`,
    digest,
    id,
  );
}

function refer(database: Connection, id: Digest, digests: readonly Digest[]): void {
  database.run(
    'INSERT INTO image_blobs SELECT ?, value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING',
    id,
    JSON.stringify(digests),
  );
}

/**
 * An image that is known already keeps the target it was pulled by when the newcomer (a load, a commit, a build) has no registry to speak
 * for: repo digests and pushes hang on those bytes. It also keeps when it was made: a build that gives the same again made nothing.
 */
function upsert(database: Connection, put: PutImage): void {
  const { image } = put;
  const keepsTarget = put.repoDigests.length === 0 && hasRepoDigest(database, image.id);
  const known = knownBody(database, image.id);
  if (known && !keepsTarget) pinNames(database, image.id, known.target);
  const { target, manifest, platform, diffIDs, sizeBytes, labels } = image;
  const body: ImageBody = {
    target,
    manifest,
    ...(platform ? { platform } : {}),
    diffIDs,
    sizeBytes,
    labels,
    ...madeAt(known ?? image),
  };
  database.run(
    `INSERT INTO images (id, body, parent, stored_ms) VALUES (?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET body = iif(?, body, excluded.body), parent = coalesce(excluded.parent, parent)`,
    image.id,
    JSON.stringify(body),
    image.parent ?? null,
    put.nowMs,
    keepsTarget ? 1 : 0,
  );
}

/** Names of an index stay with it when their image comes by another target. */
function pinNames(database: Connection, id: Digest, target: Descriptor): void {
  if (!isIndex(target.mediaType)) return;
  database.run('UPDATE names SET target = ? WHERE image_id = ? AND target IS NULL', JSON.stringify(target), id);
}

function knownBody(database: Connection, id: Digest): ImageBody | undefined {
  const row = database.get('SELECT body FROM images WHERE id = ?', id);
  return row && (JSON.parse(text(row, 'body')) as ImageBody);
}

function madeAt({ createdMs, isMadeHere }: Pick<ImageBody, 'createdMs' | 'isMadeHere'>) {
  return { createdMs, ...(isMadeHere ? { isMadeHere } : {}) };
}

function hasRepoDigest(database: Connection, id: Digest): boolean {
  return database.get('SELECT 1 FROM repo_digests WHERE image_id = ? LIMIT 1', id) !== undefined;
}

function whyKept(database: Connection, id: Digest, expected: ExpectedImage): RemoveImageOutcome | undefined {
  const user = expected.unused && database.get('SELECT id FROM containers WHERE image_id = ? LIMIT 1', id);
  if (user) return { kind: 'kept', usedBy: text(user, 'id') };
  const child = database.get('SELECT 1 FROM images WHERE parent = ? LIMIT 1', id);
  return child || hasOtherNames(database, id, expected.names) ? { kind: 'kept' } : undefined;
}

function hasOtherNames(database: Connection, id: Digest, names: readonly string[]): boolean {
  const rows = database.all(
    'SELECT name FROM names WHERE image_id = ?1 UNION ALL SELECT name FROM repo_digests WHERE image_id = ?1',
    id,
  );
  return rows.some((row) => !names.includes(text(row, 'name')));
}

export function requireImage(database: Connection, id: Digest): void {
  if (!database.get('SELECT 1 FROM images WHERE id = ?', id))
    throw new EngineError('not-found', `No such image: ${id}`);
}

/** Answers the image that had the name, when that is another one. */
function point(database: Connection, name: NameRow & { readonly keep: Keeping | undefined }): Digest[] {
  const before = nameRow(database, name.name);
  putName(database, name);
  if (!before || before.id === name.id) return [];
  const fromTarget = before.target && { fromTarget: before.target };
  keepMovedName(database, name.keep, { name: name.name, from: before.id, ...fromTarget, to: name.id });
  return [before.id];
}

/** From one platform of an index to another is no loss, and nothing to give back. */
function keepUnlessWithin(database: Connection, { image, keep }: PutImage, name: string): Keeping | undefined {
  return nameRow(database, name)?.target?.digest === image.target.digest ? undefined : keep;
}

/** Where a name points; `target` where that is not the image's own. */
export interface NameRow {
  readonly name: string;
  readonly id: Digest;
  readonly target: Descriptor | undefined;
}

export function nameRow(database: Connection, name: string): NameRow | undefined {
  const row = database.get('SELECT image_id, target FROM names WHERE name = ?', name);
  if (!row) return undefined;
  const target = optionalText(row, 'target');
  return {
    name,
    id: text(row, 'image_id') as Digest,
    target: target === undefined ? undefined : (JSON.parse(target) as Descriptor),
  };
}

export function putName(database: Connection, { name, id, target }: NameRow): void {
  database.run(
    `INSERT INTO names (name, image_id, target) VALUES (?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET image_id = excluded.image_id, target = excluded.target`,
    name,
    id,
    target === undefined ? null : JSON.stringify(target),
  );
}

function addRepoDigest(database: Connection, id: Digest, name: string): void {
  database.run('INSERT INTO repo_digests VALUES (?, ?) ON CONFLICT DO NOTHING', name, id);
}

function markTagged(database: Connection, id: Digest, nowMs: number): void {
  database.run('UPDATE images SET last_tagged_ms = ? WHERE id = ?', nowMs, id);
}
