/**
 * Parsed rows of one table, so that a list is an array and not ten thousand JSON documents. Filled by the first list; a write names the records it
 * changed, and the next read takes only those again. `all` answers one and the same array until something changes.
 */
export class RecordCache<T> {
  readonly #loadOne: (id: string) => T | undefined;
  readonly #loadAll: () => Iterable<readonly [string, T]>;
  #records: Map<string, T> | undefined;
  readonly #changed = new Set<string>();
  #list: readonly T[] | undefined;

  constructor(source: {
    loadOne: (id: string) => T | undefined;
    loadAll: () => Iterable<readonly [string, T]>;
  }) {
    this.#loadOne = source.loadOne;
    this.#loadAll = source.loadAll;
  }

  get(id: string): T | undefined {
    if (!this.#records) return this.#loadOne(id);
    this.#refresh(this.#records);
    return this.#records.get(id);
  }

  all(): readonly T[] {
    const records = (this.#records ??= this.#load());
    this.#refresh(records);
    return (this.#list ??= [...records.values()]);
  }

  changed(ids: Iterable<string>): void {
    if (!this.#records) return;
    for (const id of ids) this.#changed.add(id);
  }

  /** The next read takes all of them again: for records that came back to an earlier place in the order. */
  reload(): void {
    this.#records = undefined;
    this.#list = undefined;
  }

  #load(): Map<string, T> {
    this.#changed.clear();
    return new Map(this.#loadAll());
  }

  #refresh(records: Map<string, T>): void {
    if (this.#changed.size === 0) return;
    for (const id of this.#changed) {
      const record = this.#loadOne(id);
      if (record === undefined) records.delete(id);
      else records.set(id, record);
    }
    this.#changed.clear();
    this.#list = undefined;
  }
}
