import type { BuildCacheRecord, BuildCacheTable } from '#metadata';
import type { VolumeDocument, VolumeTable } from '#volume';

const prefix = 'cache-mount:';

/** Key of the build cache record that a folder has. */
export function cacheKeyOf(name: string): string {
  return prefix + name;
}

export function isCacheMountKey(key: string): boolean {
  return key.startsWith(prefix);
}

export function nameOfKey(key: string): string {
  return key.slice(prefix.length);
}

/** Rows of cache mounts, kept among the records of the build cache. */
export class CacheMountTable implements VolumeTable {
  readonly #records: BuildCacheTable;

  constructor(records: BuildCacheTable) {
    this.#records = records;
  }

  byName(name: string): VolumeDocument | undefined {
    const record = this.#records.get(cacheKeyOf(name));
    return record && documentOf(record);
  }

  list(): readonly VolumeDocument[] {
    return this.#records
      .list()
      .filter((record) => isCacheMountKey(record.key))
      .map(documentOf);
  }

  async put({ name, body }: VolumeDocument): Promise<void> {
    const { createdMs, labels } = body as { createdMs: number; labels: { description: string } };
    await this.#records.put({
      key: cacheKeyOf(name),
      result: { diffIDs: [] },
      description: labels.description,
      components: body,
      // Files come and go: measured when somebody asks.
      sizeBytes: 0,
      createdMs,
      lastUsedMs: createdMs,
      usageCount: 0,
    });
  }

  async remove(id: string): Promise<void> {
    await this.#records.remove([cacheKeyOf(id)]);
  }
}

function documentOf(record: BuildCacheRecord): VolumeDocument {
  const name = nameOfKey(record.key);
  return { id: name, name, body: record.components };
}
