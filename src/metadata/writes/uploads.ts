import { type Connection, text } from '#sqlite';

/** Registries forget sessions sooner or later; a day is what is common. */
const maxAgeMs = 24 * 3_600_000;

export const uploadWrites = {
  'uploads.put'(
    database: Connection,
    { key, location, nowMs }: { key: string; location: string; nowMs: number },
  ): void {
    database.run('DELETE FROM uploads WHERE at_ms < ?', nowMs - maxAgeMs);
    database.run(
      `INSERT INTO uploads VALUES (?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET location = excluded.location, at_ms = excluded.at_ms`,
      key,
      location,
      nowMs,
    );
  },

  'uploads.take'(database: Connection, { key, nowMs }: { key: string; nowMs: number }): string | undefined {
    const row = database.get(
      'DELETE FROM uploads WHERE key = ? AND at_ms >= ? RETURNING location',
      key,
      nowMs - maxAgeMs,
    );
    return row && text(row, 'location');
  },
};
