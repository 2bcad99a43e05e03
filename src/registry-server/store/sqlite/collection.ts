import { type Digest, parseDigest } from '#oci';
import { integer, type Row, text } from '#sqlite';
import type { Collection, CollectOptions, Deleted } from '../meta-store.ts';
import type { Statement } from '../meta-writer.ts';
import { statement, type Tables, unlimited } from './tables.ts';

/** Bounds how long one collection keeps other writers waiting; the next one goes on. */
const maxSuspects = 2000;

export function collectionOf(tables: Tables): Collection {
  const { reader, writer } = tables;
  return {
    async deleted() {
      const rows = reader.all(
        `SELECT repository, 'tag' AS kind, tag AS reference, deleted_ms FROM tags WHERE deleted_ms IS NOT NULL
         UNION ALL SELECT repository, 'manifest', digest, deleted_ms FROM manifests WHERE deleted_ms IS NOT NULL
         UNION ALL SELECT repository, 'blob', digest, deleted_ms FROM links WHERE deleted_ms IS NOT NULL
         ORDER BY deleted_ms DESC, kind, reference`,
      );
      return rows.map(decodeDeleted);
    },
    async restore(name, kind, reference) {
      const changes = await writer.run(restoreStatements(name, kind, reference));
      return changes.at(-1) === 1;
    },
    collect: (options) => collect(tables, options),
    isHeld: async (digest) => reader.get('SELECT 1 FROM links WHERE digest = ? LIMIT 1', digest) !== undefined,
    async heldBlobs({ after = '', limit = unlimited }) {
      const rows = reader.all(
        'SELECT DISTINCT digest FROM links WHERE digest > ? ORDER BY digest LIMIT ?',
        after,
        limit,
      );
      return rows.map((row) => parseDigest(text(row, 'digest')));
    },
    affected: async (digest) => affected(tables, digest),
  };
}

function decodeDeleted(row: Row): Deleted {
  return {
    repository: text(row, 'repository'),
    kind: text(row, 'kind') as Deleted['kind'],
    reference: text(row, 'reference'),
    deletedMs: integer(row, 'deleted_ms'),
  };
}

/** The last statement is the one that says whether there was something. */
function restoreStatements(name: string, kind: Deleted['kind'], reference: string): Statement[] {
  switch (kind) {
    case 'blob':
      return [
        statement(
          'UPDATE links SET deleted_ms = NULL WHERE repository = ? AND digest = ? AND deleted_ms IS NOT NULL',
          name,
          reference,
        ),
      ];
    case 'tag':
      return [
        statement(
          `UPDATE tags SET deleted_ms = NULL WHERE repository = ? AND tag = ? AND deleted_ms IS NOT NULL AND EXISTS
             (SELECT 1 FROM manifests WHERE repository = tags.repository AND digest = tags.digest AND deleted_ms IS NULL)`,
          name,
          reference,
        ),
      ];
    case 'manifest':
      return [
        statement(
          `UPDATE tags SET deleted_ms = NULL WHERE repository = ? AND digest = ? AND deleted_ms =
             (SELECT deleted_ms FROM manifests WHERE repository = tags.repository AND digest = tags.digest)`,
          name,
          reference,
        ),
        statement(
          'UPDATE manifests SET deleted_ms = NULL WHERE repository = ? AND digest = ? AND deleted_ms IS NOT NULL',
          name,
          reference,
        ),
      ];
    default:
      return kind satisfies never;
  }
}

async function collect({ reader, writer }: Tables, options: CollectOptions): Promise<readonly Digest[]> {
  const { deletedBeforeMs, nowMs } = options;
  await writer.run(forgetStatements(deletedBeforeMs, nowMs), { durable: false });
  const suspects = reader.all(
    'SELECT repository, digest FROM suspects WHERE check_ms <= ? ORDER BY check_ms LIMIT ?',
    nowMs,
    maxSuspects,
  );
  const gone = new Set<Digest>();
  const statements: Statement[] = [];
  const digests: Digest[] = [];
  for (const row of suspects) {
    const [repository, digest] = [text(row, 'repository'), parseDigest(text(row, 'digest'))];
    if (options.isExpected(repository, digest)) continue;
    digests.push(digest);
    // Looked at again inside the transaction: a manifest may have come meanwhile.
    statements.push(
      statement(
        `DELETE FROM links WHERE repository = ?1 AND digest = ?2 AND CASE WHEN deleted_ms IS NOT NULL THEN deleted_ms <= ?4
           ELSE claim_until_ms <= ?3 AND NOT EXISTS (SELECT 1 FROM refs WHERE repository = ?1 AND digest = ?2) END`,
        repository,
        digest,
        nowMs,
        deletedBeforeMs,
      ),
      statement(
        `DELETE FROM suspects WHERE repository = ?1 AND digest = ?2 AND NOT EXISTS
           (SELECT 1 FROM links WHERE repository = ?1 AND digest = ?2 AND claim_until_ms > ?3)`,
        repository,
        digest,
        nowMs,
      ),
      statement(
        `UPDATE suspects SET check_ms = (SELECT claim_until_ms FROM links WHERE repository = ?1 AND digest = ?2)
         WHERE repository = ?1 AND digest = ?2 AND check_ms <= ?3`,
        repository,
        digest,
        nowMs,
      ),
    );
  }
  if (statements.length === 0) return [];
  const changes = await writer.run(statements);
  digests.forEach((digest, at) => {
    if (changes[3 * at] === 1) gone.add(digest);
  });
  return [...gone];
}

/** What was deleted long enough ago goes, and what it referred to is looked at. */
function forgetStatements(beforeMs: number, nowMs: number): Statement[] {
  const old = 'deleted_ms IS NOT NULL AND deleted_ms <= ?';
  return [
    statement(`DELETE FROM tags WHERE ${old}`, beforeMs),
    statement(
      `INSERT OR REPLACE INTO suspects SELECT refs.repository, refs.digest, ? FROM manifests
       JOIN refs ON refs.repository = manifests.repository AND refs.manifest = manifests.digest WHERE ${old}`,
      nowMs,
      beforeMs,
    ),
    statement(
      `DELETE FROM refs WHERE (repository, manifest) IN (SELECT repository, digest FROM manifests WHERE ${old})`,
      beforeMs,
    ),
    statement(`INSERT OR REPLACE INTO suspects SELECT '', digest, ? FROM manifests WHERE ${old}`, nowMs, beforeMs),
    statement(`DELETE FROM manifests WHERE ${old}`, beforeMs),
    statement(
      `DELETE FROM bodies WHERE digest IN (SELECT digest FROM suspects WHERE repository = '') AND NOT EXISTS
         (SELECT 1 FROM manifests WHERE manifests.digest = bodies.digest)`,
    ),
    statement("DELETE FROM suspects WHERE repository = ''"),
    // A blob that was deleted by name goes whoever refers to it: the references stay and say what is missing.
    statement(`INSERT OR REPLACE INTO suspects SELECT repository, digest, ? FROM links WHERE ${old}`, nowMs, beforeMs),
  ];
}

function affected({ reader }: Tables, digest: Digest) {
  const rows = reader.all(
    `SELECT refs.repository AS repository, refs.manifest AS manifest FROM links
     JOIN refs ON refs.repository = links.repository AND refs.digest = links.digest WHERE links.digest = ?1
     UNION SELECT repository, digest FROM manifests WHERE digest = ?1 ORDER BY 1, 2`,
    digest,
  );
  return rows.map((row) => {
    const [repository, manifest] = [text(row, 'repository'), parseDigest(text(row, 'manifest'))];
    const tags = reader.all(
      'SELECT tag FROM tags WHERE repository = ? AND digest = ? AND deleted_ms IS NULL ORDER BY tag',
      repository,
      manifest,
    );
    return { repository, manifest, tags: tags.map((tag) => text(tag, 'tag')) };
  });
}
