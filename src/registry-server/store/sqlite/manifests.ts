import { type Descriptor, type Digest, decodeDescriptor } from '#oci';
import { integer, type Row, text } from '#sqlite';
import type { Manifests, NewManifest, StoredManifest } from '../meta-store.ts';
import type { Statement } from '../meta-writer.ts';
import { statement, type Tables, touchRepository, wanting } from './tables.ts';
import { putTagStatement } from './tags.ts';

export function manifestsOf({ reader, writer, now }: Tables): Manifests {
  const lacks = (table: 'links' | 'manifests', name: string, digest: Digest) =>
    !reader.get(`SELECT 1 FROM ${table} WHERE repository = ? AND digest = ? AND deleted_ms IS NULL`, name, digest);
  return {
    async manifest(name, digest): Promise<StoredManifest | undefined> {
      const row = reader.get(
        'SELECT media_type, size, pushed_ms FROM manifests WHERE repository = ? AND digest = ? AND deleted_ms IS NULL',
        name,
        digest,
      );
      return row && storedManifest(digest, row);
    },
    async manifestBytes(digest) {
      const bytes = reader.get('SELECT bytes FROM bodies WHERE digest = ?', digest)?.['bytes'];
      return bytes instanceof Uint8Array ? bytes : undefined;
    },
    missing: async (name, { blobs, children }) => [
      ...blobs.filter((digest) => lacks('links', name, digest)),
      ...children.filter((digest) => lacks('manifests', name, digest)),
    ],
    async putManifest(name, manifest) {
      await writer.run(putStatements(name, manifest, now()));
    },
    async removeManifest(name, digest) {
      const nowMs = now();
      const where = 'WHERE repository = ? AND digest = ? AND deleted_ms IS NULL';
      const [, removed] = await writer.run([
        statement(`UPDATE tags SET deleted_ms = ? ${where}`, nowMs, name, digest),
        statement(`UPDATE manifests SET deleted_ms = ? ${where}`, nowMs, name, digest),
      ]);
      return removed === 1;
    },
    async noteUse(uses) {
      const nowMs = now();
      const set = 'UPDATE manifests SET used_ms = ? WHERE repository = ? AND digest = ?';
      const statements = [...uses].flatMap(([name, digests]) =>
        [...digests].map((digest) => statement(set, nowMs, name, digest)),
      );
      if (statements.length > 0) await writer.run(statements, { durable: false });
    },
    async unused({ beforeMs, after, limit }) {
      const rows = reader.all(
        `SELECT repository, digest, max(pushed_ms, used_ms) AS last_ms FROM manifests
         WHERE (repository, digest) > (?, ?) AND pushed_ms < ? AND used_ms < ? AND deleted_ms IS NULL
         ORDER BY repository, digest LIMIT ?`,
        after?.repository ?? '',
        after?.digest ?? '',
        beforeMs,
        beforeMs,
        limit,
      );
      return rows.map((row) => ({
        repository: text(row, 'repository'),
        digest: text(row, 'digest') as Digest,
        usedMs: integer(row, 'last_ms'),
      }));
    },
    async occupancy({ after, limit }) {
      const rows = reader.all(
        `SELECT refs.repository, refs.manifest, refs.digest, links.size, max(manifests.pushed_ms, manifests.used_ms) AS last_ms
         FROM refs
         JOIN links ON links.repository = refs.repository AND links.digest = refs.digest AND links.deleted_ms IS NULL
         JOIN manifests ON manifests.repository = refs.repository AND manifests.digest = refs.manifest
           AND manifests.deleted_ms IS NULL
         WHERE (refs.repository, refs.manifest, refs.digest) > (?, ?, ?)
         ORDER BY refs.repository, refs.manifest, refs.digest LIMIT ?`,
        after?.repository ?? '',
        after?.manifest ?? '',
        after?.digest ?? '',
        limit,
      );
      return rows.map((row) => ({
        repository: text(row, 'repository'),
        manifest: text(row, 'manifest') as Digest,
        digest: text(row, 'digest') as Digest,
        sizeBytes: integer(row, 'size'),
        usedMs: integer(row, 'last_ms'),
      }));
    },
    async referrers(name, digest) {
      const rows = reader.all(
        `SELECT referrer FROM manifests WHERE repository = ? AND subject = ? AND deleted_ms IS NULL
         ORDER BY pushed_ms, digest`,
        name,
        digest,
      );
      return rows.map(decodeReferrer);
    },
    async expectedSize(name, digest) {
      const row = reader.get('SELECT size FROM refs WHERE repository = ? AND digest = ? LIMIT 1', name, digest);
      return row && integer(row, 'size');
    },
  };
}

function storedManifest(digest: Digest, row: Row): StoredManifest {
  return {
    digest,
    mediaType: text(row, 'media_type'),
    sizeBytes: integer(row, 'size'),
    pushedMs: integer(row, 'pushed_ms'),
  };
}

function decodeReferrer(row: Row): Descriptor {
  return decodeDescriptor(JSON.parse(text(row, 'referrer')), 'referrer');
}

/** The references are copied from what is there: fewer than wanted, and nothing of it happens. */
function putStatements(name: string, manifest: NewManifest, nowMs: number): Statement[] {
  const { digest, mediaType, bytes, subject } = manifest;
  const blobs = [...new Set(manifest.blobs)];
  const children = [...new Set(manifest.children)];
  const referTo = (table: 'links' | 'manifests', digests: readonly Digest[]) =>
    wanting(
      digests.length,
      `INSERT INTO refs (repository, manifest, digest, size)
       SELECT there.repository, ?, there.digest, there.size FROM json_each(?) AS wanted
       JOIN ${table} AS there ON there.repository = ? AND there.digest = wanted.value
       WHERE there.deleted_ms IS NULL ON CONFLICT DO UPDATE SET size = excluded.size`,
      digest,
      JSON.stringify(digests),
      name,
    );
  return [
    touchRepository(name, nowMs),
    statement('INSERT OR IGNORE INTO bodies (digest, bytes) VALUES (?, ?)', digest, bytes),
    statement('DELETE FROM refs WHERE repository = ? AND manifest = ?', name, digest),
    referTo('links', blobs),
    referTo('manifests', children),
    ...(manifest.expected ?? []).map((expected) =>
      statement('INSERT OR IGNORE INTO refs VALUES (?, ?, ?, ?)', name, digest, expected.digest, expected.size),
    ),
    statement(
      'UPDATE links SET claim_until_ms = 0 WHERE repository = ? AND digest IN (SELECT value FROM json_each(?))',
      name,
      JSON.stringify(blobs),
    ),
    statement(
      `INSERT INTO manifests (repository, digest, media_type, size, pushed_ms, subject, referrer) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET deleted_ms = NULL, pushed_ms = excluded.pushed_ms, media_type = excluded.media_type,
         subject = excluded.subject, referrer = excluded.referrer`,
      name,
      digest,
      mediaType,
      bytes.byteLength,
      nowMs,
      subject?.digest ?? null,
      subject ? JSON.stringify(subject.referrer) : null,
    ),
    ...manifest.tags.map((tag) => putTagStatement(name, tag, digest, nowMs)),
  ];
}
