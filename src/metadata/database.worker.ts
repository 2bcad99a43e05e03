/** The database thread: the only writer. Takes all writes that wait, commits them together, answers them together. */
import { closeSync, openSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Connection } from './connection.ts';
import { toWireError, type WireError } from './database-errors.ts';
import { migrate } from './migrations.ts';
import type { FromDatabase, ToDatabase, WriteAnswer, WriteRequest } from './protocol.ts';
import { writes } from './writes/index.ts';

/** Bounds how long the first write of a batch waits for the last. */
const maxBatch = 512;

const port = parentPort!;
const { path } = workerData as { path: string };
const answer = (message: FromDatabase) => port.postMessage(message);

function openDatabase(): Connection {
  // SQLite gives -wal and -shm the mode of the database file.
  closeSync(openSync(path, 'a', 0o600));
  const database = new Connection(path);
  database.exec(
    'PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;',
  );
  migrate(database);
  return database;
}

function takeBatch(first: ToDatabase): ToDatabase[] {
  const batch = [first];
  while (batch.length < maxBatch) {
    const next = receiveMessageOnPort(port);
    if (!next) break;
    batch.push(next.message as ToDatabase);
  }
  return batch;
}

/** A later durable commit syncs the log, and with it every earlier commit: switching per batch keeps one order for all. */
function setDurability(database: Connection, requests: readonly WriteRequest[]): void {
  const durable = requests.some((request) => request.durable);
  database.exec(durable ? 'PRAGMA synchronous = FULL' : 'PRAGMA synchronous = NORMAL');
}

function runOne(database: Connection, request: WriteRequest): WriteAnswer {
  database.exec('SAVEPOINT one');
  try {
    const run = writes[request.name] as (database: Connection, input: unknown) => unknown;
    const result = run(database, request.input);
    database.exec('RELEASE one');
    return { id: request.id, result };
  } catch (error) {
    if (!database.inTransaction) throw error;
    database.exec('ROLLBACK TO one; RELEASE one');
    return { id: request.id, error: toWireError(error) };
  }
}

function commitBatch(database: Connection, requests: readonly WriteRequest[]): WriteAnswer[] {
  try {
    setDurability(database, requests);
    database.exec('BEGIN IMMEDIATE');
    const answers = requests.map((request) => runOne(database, request));
    database.exec('COMMIT');
    return answers;
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK');
    const wire: WireError = toWireError(error);
    return requests.map(({ id }) => ({ id, error: wire }));
  }
}

function serve(database: Connection): void {
  port.on('message', (first: ToDatabase) => {
    const batch = takeBatch(first);
    const requests = batch.filter((message): message is WriteRequest => message.kind === 'write');
    if (requests.length > 0) answer({ kind: 'answers', answers: commitBatch(database, requests) });
    if (batch.some((message) => message.kind === 'close')) {
      database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      database.close();
      port.close();
    }
  });
}

try {
  serve(openDatabase());
  answer({ kind: 'ready' });
} catch (error) {
  answer({ kind: 'failed', error: toWireError(error) });
}
