import { type Connection, integer, type Row, text } from '#sqlite';
import { RecordCache } from './record-cache.ts';
import type { StoreContext } from './store-context.ts';
import type { BuildCacheRecord, BuildCacheTable, Keeping } from './types.ts';
import type { BuildCacheBody } from './writes/build-cache.ts';

const columns = 'key, body, last_used_ms, usage_count';

export class SqliteBuildCacheTable implements BuildCacheTable {
  readonly #context: StoreContext;
  readonly #cache: RecordCache<BuildCacheRecord>;

  constructor(context: StoreContext) {
    this.#context = context;
    this.#cache = new RecordCache({
      loadOne: (key) => {
        const row = context.reader.get(`SELECT ${columns} FROM build_cache WHERE key = ?`, key);
        return row && decode(row);
      },
      loadAll: () => loadAll(context.reader),
    });
  }

  get(key: string): BuildCacheRecord | undefined {
    return this.#cache.get(key);
  }

  list(): readonly BuildCacheRecord[] {
    return this.#cache.all();
  }

  async put(record: BuildCacheRecord): Promise<void> {
    await this.#context.writer.run('buildCache.put', record);
    this.#cache.changed([record.key]);
  }

  /** A use forgotten by a power cut costs nothing: not waited for by the disk. */
  async touch(key: string, atMs: number): Promise<void> {
    await this.#context.writer.run('buildCache.touch', { key, atMs }, { durable: false });
    this.#cache.changed([key]);
  }

  async remove(keys: readonly string[], keep?: Keeping): Promise<void> {
    await this.#context.writer.run('buildCache.remove', { keys, keep });
    this.#cache.changed(keys);
  }

  /** Records came back. */
  reload(): void {
    this.#cache.reload();
  }
}

function* loadAll(reader: Connection): Generator<readonly [string, BuildCacheRecord]> {
  for (const row of reader.all(`SELECT ${columns} FROM build_cache ORDER BY number`))
    yield [text(row, 'key'), decode(row)];
}

function decode(row: Row): BuildCacheRecord {
  return {
    ...(JSON.parse(text(row, 'body')) as BuildCacheBody),
    lastUsedMs: integer(row, 'last_used_ms'),
    usageCount: integer(row, 'usage_count'),
  };
}
