import type { DiffID } from '#oci';
import { type Connection, text } from '#sqlite';
import { RecordCache } from './record-cache.ts';
import type { StoreContext } from './store-context.ts';
import type { DocumentTable, NamedDocument } from './types.ts';
import type { DocumentTableName } from './writes/documents.ts';

export class SqliteDocumentTable<T extends NamedDocument> implements DocumentTable<T> {
  readonly #table: DocumentTableName;
  readonly #context: StoreContext;
  readonly #chainsOf: (document: T) => readonly (readonly DiffID[])[];
  readonly #cache: RecordCache<T>;

  /** `chainsOf` names the layers a document keeps alive. */
  constructor(
    table: DocumentTableName,
    context: StoreContext,
    chainsOf: (document: T) => readonly (readonly DiffID[])[] = () => [],
  ) {
    this.#table = table;
    this.#context = context;
    this.#chainsOf = chainsOf;
    this.#cache = new RecordCache<T>({
      loadOne: (id) => loadOne<T>(context.reader, table, id),
      loadAll: () => loadAll<T>(context.reader, table),
    });
  }

  get(id: string): T | undefined {
    return this.#cache.get(id);
  }

  byName(name: string): T | undefined {
    const row = this.#context.reader.get(`SELECT id FROM ${this.#table} WHERE name = ?`, name);
    return row && this.#cache.get(text(row, 'id'));
  }

  byPrefix(prefix: string): readonly T[] {
    // One character above all others ends the range, so that the index answers.
    const rows = this.#context.reader.all(
      `SELECT id FROM ${this.#table} WHERE id >= ?1 AND id < ?1 || char(1114111) LIMIT 2`,
      prefix,
    );
    return rows.flatMap((row) => this.#cache.get(text(row, 'id')) ?? []);
  }

  list(): readonly T[] {
    return this.#cache.all();
  }

  async put(document: T, options: { durable?: boolean } = {}): Promise<void> {
    const put = {
      table: this.#table,
      id: document.id,
      name: document.name,
      body: JSON.stringify(document),
      chains: this.#chainsOf(document),
    };
    await this.#context.writer.run('documents.put', put, options);
    this.#cache.changed([document.id]);
  }

  async remove(id: string): Promise<void> {
    await this.#context.writer.run('documents.remove', { table: this.#table, id });
    this.#cache.changed([id]);
  }

  /** Rows went by another way than this table. */
  forget(ids: readonly string[]): void {
    this.#cache.changed(ids);
  }

  /** Rows came back, each to its own place in the order. */
  reload(): void {
    this.#cache.reload();
  }
}

function loadOne<T>(reader: Connection, table: DocumentTableName, id: string): T | undefined {
  const row = reader.get(`SELECT body FROM ${table} WHERE id = ?`, id);
  return row && (JSON.parse(text(row, 'body')) as T);
}

function* loadAll<T>(reader: Connection, table: DocumentTableName): Generator<readonly [string, T]> {
  for (const row of reader.all(`SELECT id, body FROM ${table} ORDER BY number`))
    yield [text(row, 'id'), JSON.parse(text(row, 'body')) as T];
}
