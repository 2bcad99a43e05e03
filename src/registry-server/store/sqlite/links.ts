import { integer, text } from '#sqlite';
import type { BlobLinks, RepositoryCatalog } from '../meta-store.ts';
import { statement, type Tables, touchRepository, unlimited } from './tables.ts';

const maxHolders = 100;

export function catalogOf({ reader }: Tables): RepositoryCatalog {
  return {
    async repositories({ after = '', limit = unlimited } = {}) {
      const rows = reader.all(
        `SELECT name FROM repositories WHERE name > ? AND EXISTS
           (SELECT 1 FROM manifests WHERE repository = name AND deleted_ms IS NULL) ORDER BY name LIMIT ?`,
        after,
        limit,
      );
      return rows.map((row) => text(row, 'name'));
    },
    hasRepository: async (name) => reader.get('SELECT 1 FROM repositories WHERE name = ?', name) !== undefined,
  };
}

export function blobLinksOf({ reader, writer, now }: Tables): BlobLinks {
  return {
    async blob(name, digest) {
      const row = reader.get(
        'SELECT size FROM links WHERE repository = ? AND digest = ? AND deleted_ms IS NULL',
        name,
        digest,
      );
      return row ? integer(row, 'size') : undefined;
    },
    async linkBlob(name, { digest, sizeBytes }, claimUntilMs) {
      await writer.run([
        touchRepository(name, now()),
        statement(
          `INSERT INTO links (repository, digest, size, claim_until_ms) VALUES (?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET deleted_ms = NULL, claim_until_ms = max(claim_until_ms, excluded.claim_until_ms)`,
          name,
          digest,
          sizeBytes,
          claimUntilMs,
        ),
        statement(
          'INSERT OR REPLACE INTO suspects (repository, digest, check_ms) VALUES (?, ?, ?)',
          name,
          digest,
          claimUntilMs,
        ),
      ]);
    },
    async unlinkBlob(name, digest) {
      const [changed] = await writer.run([
        statement(
          'UPDATE links SET deleted_ms = ? WHERE repository = ? AND digest = ? AND deleted_ms IS NULL',
          now(),
          name,
          digest,
        ),
      ]);
      return changed === 1;
    },
    async holders(digest) {
      const rows = reader.all(
        'SELECT repository FROM links WHERE digest = ? AND deleted_ms IS NULL LIMIT ?',
        digest,
        maxHolders,
      );
      return rows.map((row) => text(row, 'repository'));
    },
  };
}
