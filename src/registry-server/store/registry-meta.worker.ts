import { EngineError } from '#errdefs';
import { type Connection, serveWrites } from '#sqlite';
import type { Statement } from './meta-writer.ts';
import { migrations } from './schema.ts';

serveWrites({
  migrations,
  run: (database, request) => (request as readonly Statement[]).map((statement) => runStatement(database, statement)),
});

function runStatement(database: Connection, { sql, values, want }: Statement): number {
  const changed = database.run(sql, ...values);
  if (want === undefined || want === changed) return changed;
  throw new EngineError('failed-precondition', `write registry database: ${changed} rows where ${want} were wanted`);
}
