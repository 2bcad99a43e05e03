import type { DiffID, Digest } from '#oci';
import { integer, optionalInteger, optionalText, type Row, text } from '#sqlite';
import { ChainTree } from './chain-tree.ts';
import type { StoreContext } from './store-context.ts';
import type { DroppedEntry, Journal, JournalEntry, Keeping, KeptBlob, KeptKind, Restored } from './types.ts';

/** Tables that hold records by their ID, and forget what they have read. */
interface Reloadable {
  reload(): void;
}

type Documents = Reloadable & { forget(ids: readonly string[]): void };
type Tables = Readonly<Record<'images' | 'buildCache', Reloadable> & Record<'containers' | 'volumes', Documents>>;

const changeColumns = "number, kind, key, body ->> '$.row.name' AS name";

export class SqliteJournal implements Journal {
  readonly #context: StoreContext;
  readonly #tables: Tables;
  #last: number;

  readonly #keeps: () => boolean;

  constructor(context: StoreContext, tables: Tables, keeps: () => boolean) {
    this.#context = context;
    this.#keeps = keeps;
    this.#tables = tables;
    const row = context.reader.get("SELECT seq FROM sqlite_sequence WHERE name = 'journal'");
    this.#last = row ? integer(row, 'seq') : 0;
  }

  keeping(action: string, subject: string): Keeping | undefined {
    if (!this.#keeps()) return undefined;
    return { number: ++this.#last, action, subject, atMs: this.#context.nowMs() };
  }

  get isEmpty(): boolean {
    return this.#context.reader.get('SELECT 1 FROM journal LIMIT 1') === undefined;
  }

  list(): readonly JournalEntry[] {
    const changes = Map.groupBy(
      this.#context.reader.all(`SELECT ${changeColumns} FROM journal_changes ORDER BY number, step`),
      (row) => integer(row, 'number'),
    );
    return this.#context.reader
      .all('SELECT * FROM journal ORDER BY number')
      .map((row) => decode(row, changes.get(integer(row, 'number')) ?? []));
  }

  get(number: number): JournalEntry | undefined {
    const { reader } = this.#context;
    const row = reader.get('SELECT * FROM journal WHERE number = ?', number);
    const sql = `SELECT ${changeColumns} FROM journal_changes WHERE number = ? ORDER BY step`;
    return row && decode(row, reader.all(sql, number));
  }

  has(number: number, kind: KeptKind, key: string): boolean {
    const sql = 'SELECT 1 FROM journal_changes WHERE number = ? AND kind = ? AND key = ?';
    return this.#context.reader.get(sql, number, kind, key) !== undefined;
  }

  containers(): ReadonlySet<string> {
    const rows = this.#context.reader.all("SELECT key FROM journal_changes WHERE kind = 'container'");
    return new Set(rows.map((row) => text(row, 'key')));
  }

  volumes(): readonly { readonly number: number; readonly name: string }[] {
    const rows = this.#context.reader.all("SELECT number, key FROM journal_changes WHERE kind = 'volume'");
    return rows.map((row) => ({ number: integer(row, 'number'), name: text(row, 'key') }));
  }

  async retire(
    { containers = [], volumes = [] }: { containers?: readonly string[]; volumes?: readonly string[] },
    keep: Keeping,
  ): Promise<void> {
    await this.#context.writer.run('journal.retire', { containers, volumes, keep });
    this.#tables.containers.forget(containers);
    // A volume's ID is its name.
    this.#tables.volumes.forget(volumes);
  }

  async restore(number: number): Promise<Restored> {
    const restored = await this.#context.writer.run('journal.restore', number);
    for (const table of Object.values(this.#tables)) table.reload();
    return restored;
  }

  drop(numbers: readonly number[]): Promise<readonly DroppedEntry[]> {
    return this.#context.writer.run('journal.drop', numbers);
  }

  setFolderBytes(number: number, bytes: number): Promise<void> {
    return this.#context.writer.run('journal.measured', { number, bytes }, { durable: false });
  }

  blobs(): readonly KeptBlob[] {
    const { reader } = this.#context;
    const byChain = new ChainTree(reader).oldestUndo();
    const rows = reader.all(
      `SELECT digest, size, (SELECT min(number) FROM journal_blobs WHERE journal_blobs.digest = unused.digest) AS number
       FROM unused WHERE digest IN (SELECT digest FROM journal_blobs) OR digest IN (SELECT diff_id FROM chains WHERE undo_uses > 0)
       ORDER BY digest`,
    );
    return rows.map((row) => {
      const digest = text(row, 'digest') as Digest;
      const numbers = [optionalInteger(row, 'number'), byChain.get(digest as DiffID)];
      const number = Math.min(...numbers.filter((found) => found !== undefined));
      return { digest, sizeBytes: integer(row, 'size'), number };
    });
  }
}

function decode(row: Row, changes: readonly Row[]): JournalEntry {
  return {
    number: integer(row, 'number'),
    action: text(row, 'action'),
    subject: text(row, 'subject'),
    atMs: integer(row, 'at_ms'),
    kept: changes.map(decodeChange),
    folderBytes: optionalInteger(row, 'folder_bytes'),
  };
}

function decodeChange(row: Row): JournalEntry['kept'][number] {
  const name = optionalText(row, 'name');
  return { kind: text(row, 'kind') as KeptKind, key: text(row, 'key'), ...(name === undefined ? {} : { name }) };
}
