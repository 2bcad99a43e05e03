import { closeSync, openSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Connection } from './connection.ts';
import { migrate } from './migrate.ts';
import type { FromThread, ToThread, WriteAnswer, WriteRequest } from './protocol.ts';
import { toWireError } from './wire-error.ts';

export interface WriteService {
  /** SQL of each schema version, oldest first. */
  readonly migrations: readonly string[];
  /** Does one request inside a transaction of its own; what it throws takes back that one alone. */
  readonly run: (database: Connection, request: unknown) => unknown;
}

/** Bounds how long the first write of a batch waits for the last. */
const maxBatch = 512;

/**
 * What a database thread does: the only writer, it takes all writes that wait, commits them together and answers them together. Called once, from
 * the worker file that `WriteThread.open` names.
 */
export function serveWrites(service: WriteService): void {
  const port = parentPort!;
  const answer = (message: FromThread) => port.postMessage(message);
  try {
    const database = openDatabase((workerData as { path: string }).path, service.migrations);
    port.on('message', (first: ToThread) => {
      const batch = takeBatch(first);
      const requests = batch.filter((message) => message.kind === 'write');
      if (requests.length > 0) answer({ kind: 'answers', answers: commitBatch(database, service, requests) });
      if (batch.some((message) => message.kind === 'close')) {
        database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
        database.close();
        port.close();
      }
    });
    answer({ kind: 'ready' });
  } catch (error) {
    answer({ kind: 'failed', error: toWireError(error) });
  }
}

function openDatabase(path: string, migrations: readonly string[]): Connection {
  // SQLite gives -wal and -shm the mode of the database file.
  closeSync(openSync(path, 'a', 0o600));
  const database = new Connection(path);
  database.exec(
    'PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;',
  );
  migrate(database, migrations);
  return database;
}

function takeBatch(first: ToThread): ToThread[] {
  const batch = [first];
  while (batch.length < maxBatch) {
    const next = receiveMessageOnPort(parentPort!);
    if (!next) break;
    batch.push(next.message as ToThread);
  }
  return batch;
}

function commitBatch(database: Connection, service: WriteService, requests: readonly WriteRequest[]): WriteAnswer[] {
  try {
    setDurability(database, requests);
    database.exec('BEGIN IMMEDIATE');
    const answers = requests.map((request) => runOne(database, service, request));
    database.exec('COMMIT');
    return answers;
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK');
    const wire = toWireError(error);
    return requests.map(({ id }) => ({ id, error: wire }));
  }
}

/** A later durable commit syncs the log, and with it every earlier commit: switching per batch keeps one order for all. */
function setDurability(database: Connection, requests: readonly WriteRequest[]): void {
  const durable = requests.some((request) => request.durable);
  database.exec(durable ? 'PRAGMA synchronous = FULL' : 'PRAGMA synchronous = NORMAL');
}

function runOne(database: Connection, { run }: WriteService, { id, request }: WriteRequest): WriteAnswer {
  database.exec('SAVEPOINT one');
  try {
    const result = run(database, request);
    database.exec('RELEASE one');
    return { id, result };
  } catch (error) {
    if (!database.inTransaction) throw error;
    database.exec('ROLLBACK TO one; RELEASE one');
    return { id, error: toWireError(error) };
  }
}
