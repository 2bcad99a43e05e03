/** The writing thread of a registry's database. Takes all transactions that wait, commits them together, answers them together. */
import { closeSync, openSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { EngineError, kindOf, messageOf } from '#errdefs';
import { Database } from './database.ts';
import type { FromWriter, Outcome, ToWriter, Transaction, WireError } from './meta-protocol.ts';
import { migrate } from './schema.ts';

/** Bounds how long the first transaction of a batch waits for the last. */
const maxBatch = 512;

const port = parentPort!;
const { path } = workerData as { path: string };
const answer = (message: FromWriter) => port.postMessage(message);

function openDatabase(): Database {
  // SQLite gives -wal and -shm the mode of the database file.
  closeSync(openSync(path, 'a', 0o600));
  const database = new Database(path);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;');
  migrate(database);
  return database;
}

function takeBatch(first: ToWriter): ToWriter[] {
  const batch = [first];
  while (batch.length < maxBatch) {
    const next = receiveMessageOnPort(port);
    if (!next) break;
    batch.push(next.message as ToWriter);
  }
  return batch;
}

function runOne(database: Database, { id, statements }: Transaction): Outcome {
  database.exec('SAVEPOINT one');
  try {
    const changes = statements.map(({ sql, values, want }) => {
      const changed = database.run(sql, values);
      if (want !== undefined && want !== changed) {
        throw new EngineError(
          'failed-precondition',
          `write registry database: ${changed} rows where ${want} were wanted`,
        );
      }
      return changed;
    });
    database.exec('RELEASE one');
    return { id, changes };
  } catch (error) {
    if (!database.inTransaction) throw error;
    database.exec('ROLLBACK TO one; RELEASE one');
    return { id, error: wireError(error) };
  }
}

function commitBatch(database: Database, transactions: readonly Transaction[]): Outcome[] {
  try {
    // A durable commit syncs the log, and with it every commit before.
    const durable = transactions.some((transaction) => transaction.durable);
    database.exec(durable ? 'PRAGMA synchronous = FULL' : 'PRAGMA synchronous = NORMAL');
    database.exec('BEGIN IMMEDIATE');
    const outcomes = transactions.map((transaction) => runOne(database, transaction));
    database.exec('COMMIT');
    return outcomes;
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK');
    return transactions.map(({ id }) => ({ id, error: wireError(error) }));
  }
}

function wireError(error: unknown): WireError {
  const kind = kindOf(error);
  return { kind: kind === 'unknown' ? 'internal' : kind, message: messageOf(error) };
}

function serve(database: Database): void {
  port.on('message', (first: ToWriter) => {
    const batch = takeBatch(first);
    const transactions = batch.flatMap((message) => (message.kind === 'write' ? [message.transaction] : []));
    if (transactions.length > 0) answer({ kind: 'outcomes', outcomes: commitBatch(database, transactions) });
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
  answer({ kind: 'failed', error: wireError(error) });
}
