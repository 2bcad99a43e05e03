/**
 * SQLite through `node:sqlite`: connections with typed columns, migrations, and a thread that writes for everybody. Knows no table. Imports
 * errdefs, concurrency, log, sys.
 *
 * ```ts
 * // store.worker.ts
 * serveWrites({ migrations, run: (database, request) => apply(database, request as Request) });
 * // store.ts
 * const thread = await WriteThread.open(workerEntry(import.meta.url, './store.worker.ts'), 'store.db');
 * await thread.run(request); // one transaction; every connection sees it
 * ```
 */
export { Connection, integer, optionalInteger, optionalText, type Row, type SqlValue, text } from './connection.ts';
export { type Migration, migrate } from './migrate.ts';
export { serveWrites, type WriteService } from './serve-writes.ts';
export { fromWireError, toWireError, type WireError } from './wire-error.ts';
export { WriteThread } from './write-thread.ts';
