import { parseDigest } from '#oci';
import { integer, text } from '#sqlite';
import type { Tags } from '../meta-store.ts';
import type { Statement } from '../meta-writer.ts';
import { statement, type Tables, unlimited } from './tables.ts';

export function tagsOf({ reader, writer, now }: Tables): Tags {
  return {
    async tags(name, { after = '', limit = unlimited } = {}) {
      const rows = reader.all(
        'SELECT tag FROM tags WHERE repository = ? AND tag > ? AND deleted_ms IS NULL ORDER BY tag LIMIT ?',
        name,
        after,
        limit,
      );
      return rows.map((row) => text(row, 'tag'));
    },
    async tag(name, tag) {
      const row = reader.get(
        'SELECT digest, updated_ms, checked_ms FROM tags WHERE repository = ? AND tag = ? AND deleted_ms IS NULL',
        name,
        tag,
      );
      if (!row) return undefined;
      const digest = parseDigest(text(row, 'digest'));
      return { digest, updatedMs: integer(row, 'updated_ms'), checkedMs: integer(row, 'checked_ms') };
    },
    async putTag(name, tag, digest) {
      await writer.run([{ ...putTagStatement(name, tag, digest, now()), want: 1 }]);
    },
    async removeTag(name, tag) {
      const [changed] = await writer.run([
        statement(
          'UPDATE tags SET deleted_ms = ? WHERE repository = ? AND tag = ? AND deleted_ms IS NULL',
          now(),
          name,
          tag,
        ),
      ]);
      return changed === 1;
    },
  };
}

/** Changes no row when the repository lacks the manifest. `updated_ms` is when the tag last moved. */
export function putTagStatement(name: string, tag: string, digest: string, nowMs: number): Statement {
  return statement(
    `INSERT INTO tags (repository, tag, digest, updated_ms, checked_ms)
     SELECT repository, ?, digest, ?, ? FROM manifests WHERE repository = ? AND digest = ? AND deleted_ms IS NULL
     ON CONFLICT DO UPDATE SET deleted_ms = NULL, checked_ms = excluded.checked_ms, digest = excluded.digest,
       updated_ms = iif(digest = excluded.digest AND deleted_ms IS NULL, updated_ms, excluded.updated_ms)`,
    tag,
    nowMs,
    nowMs,
    name,
    digest,
  );
}
