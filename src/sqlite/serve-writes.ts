import { closeSync, openSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Connection } from './connection.ts';
import { type Migration, migrate } from './migrate.ts';
import type { FromThread, ToThread, WriteAnswer, WriteRequest } from './protocol.ts';
import { DatabaseSpace } from './space.ts';
import { isFull, toWireError } from './wire-error.ts';

export interface WriteService {
  /** What leads to each schema version, oldest first. */
  readonly migrations: readonly Migration[];
  /** Does one request inside a transaction of its own; what it throws takes back that one alone. */
  readonly run: (database: Connection, request: unknown) => unknown;
}

interface Commits {
  readonly database: Connection;
  readonly space: DatabaseSpace;
  readonly service: WriteService;
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
    const { path } = workerData as { path: string };
    const database = openDatabase(path, service.migrations);
    const space = new DatabaseSpace(path, database);
    const commits = { database, space, service };
    port.on('message', (first: ToThread) => {
      const batch = takeBatch(first);
      const requests = batch.filter((message) => message.kind === 'write');
      if (requests.length > 0) answer({ kind: 'answers', answers: commitBatch(commits, requests) });
      if (batch.some((message) => message.kind === 'close')) {
        end(commits);
        port.close();
      }
    });
    answer({ kind: 'ready' });
  } catch (error) {
    answer({ kind: 'failed', error: toWireError(error) });
  }
}

/** What a full disk keeps from being checkpointed, the next one to open the database finds in the log. */
function end({ database, space }: Commits): void {
  try {
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  } catch (error) {
    if (!isFull(error)) throw error;
  }
  database.close();
  space[Symbol.dispose]();
}

function openDatabase(path: string, migrations: readonly Migration[]): Connection {
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

/** On a full disk once more behind a checkpoint, after which the log begins anew in the space it has. */
function commitBatch(commits: Commits, requests: readonly WriteRequest[]): WriteAnswer[] {
  try {
    return commit(commits, requests);
  } catch (error) {
    try {
      if (!isFull(error)) throw error;
      commits.database.exec('PRAGMA wal_checkpoint(RESTART)');
      return commit(commits, requests);
    } catch (last) {
      const wire = toWireError(last);
      return requests.map(({ id }) => ({ id, error: wire }));
    }
  }
}

/** All of them in one transaction. @throws when none of them is written. */
function commit({ database, space, service }: Commits, requests: readonly WriteRequest[]): WriteAnswer[] {
  try {
    setDurability(database, requests);
    database.exec('BEGIN IMMEDIATE');
    const answers = requests.map((request) => runOne(database, service, request));
    space.take(database);
    database.exec('COMMIT');
    return answers;
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK');
    throw error;
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
    if (!database.inTransaction || isFull(error)) throw error;
    database.exec('ROLLBACK TO one; RELEASE one');
    return { id, error: toWireError(error) };
  }
}
