import { EngineError } from '#errdefs';
import { type Connection, integer } from './connection.ts';

/** One step of a schema: SQL, or what SQL alone can't do. Runs in a transaction of its own. */
export type Migration = string | ((database: Connection) => void);

/**
 * Brings a database to the schema after all `migrations`; how many it has seen is its `user_version`.
 * @throws `failed-precondition` when a newer program has already moved it on: this one would misread it.
 */
export function migrate(database: Connection, migrations: readonly Migration[]): void {
  const found = integer(database.get('PRAGMA user_version')!, 'user_version');
  if (found > migrations.length) {
    throw new EngineError(
      'failed-precondition',
      `open database: its schema is version ${found}, this program knows up to ${migrations.length}: it was used by a newer wherry`,
    );
  }
  for (let version = found; version < migrations.length; version++) {
    database.exec('BEGIN IMMEDIATE');
    try {
      const step = migrations[version]!;
      if (typeof step === 'string') database.exec(step);
      else step(database);
      database.exec(`PRAGMA user_version = ${version + 1}`);
      database.exec('COMMIT');
    } catch (error) {
      if (database.inTransaction) database.exec('ROLLBACK');
      throw error;
    }
  }
}
