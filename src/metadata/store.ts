import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { KeyedLock } from '#concurrency';
import type { ContentStore, Inspection, Recipes } from '#content';
import type { MakeRoom } from '#files';
import type { Digest } from '#oci';
import type { SnapshotDriver } from '#snapshots';
import { Connection, text } from '#sqlite';
import { SqliteBuildCacheTable } from './build-cache-table.ts';
import { Collector } from './collector.ts';
import { DatabaseWriter } from './database-writer.ts';
import { SqliteDocumentTable } from './document-table.ts';
import { SqliteImageTable } from './image-table.ts';
import { SqliteJournal } from './journal.ts';
import { LayerSources } from './layer-sources.ts';
import { SqliteBlobTable, SqliteLayerTable } from './layer-table.ts';
import { Leases } from './leases.ts';
import { type RecoverResult, recoverFiles } from './recovery.ts';
import type { StoreContext } from './store-context.ts';
import type {
  CollectResult,
  ContainerDocument,
  DamagedBlob,
  DamagedBlobsOptions,
  Lease,
  Metadata,
  NamedDocument,
  UploadTable,
} from './types.ts';
import { damagedBlobs, verifyStore } from './verifier.ts';

export interface OpenMetadataOptions {
  /** The data root; the database is `wherry.db` in it. The caller holds {@link lockDataRoot}. */
  readonly root: string;
  readonly content: ContentStore & Recipes & Inspection;
  /** What layers were derived into: told to forget them, and asked to verify. */
  readonly driver?: Pick<SnapshotDriver, 'removeLayer' | 'verify'>;
  /** Whether what is removed now is kept in the journal; never when absent. */
  readonly keeps?: () => boolean;
  /** Gives space to a write that finds none. */
  readonly spare?: MakeRoom;
}

/**
 * Opens the database, making or migrating it.
 * @throws `failed-precondition` when a newer program has migrated it further.
 */
export async function openMetadata(options: OpenMetadataOptions): Promise<MetadataStore> {
  await mkdir(options.root, { recursive: true });
  const path = join(options.root, 'wherry.db');
  const writer = await DatabaseWriter.open(path, options.spare);
  try {
    return new MetadataStore(options, writer, new Connection(path, { readOnly: true }));
  } catch (error) {
    await writer[Symbol.asyncDispose]();
    throw error;
  }
}

/** {@link Metadata} over SQLite; made by {@link openMetadata}. */
export class MetadataStore implements Metadata {
  readonly images: SqliteImageTable;
  readonly layers: SqliteLayerTable;
  readonly blobs: SqliteBlobTable;
  readonly containers: SqliteDocumentTable<ContainerDocument>;
  readonly networks: SqliteDocumentTable<NamedDocument>;
  readonly volumes: SqliteDocumentTable<NamedDocument>;
  readonly buildCache: SqliteBuildCacheTable;
  readonly journal: SqliteJournal;
  readonly layerSources: LayerSources;
  readonly #options: OpenMetadataOptions;
  readonly #context: StoreContext;
  readonly #leases: Leases;
  readonly #collector: Collector;

  constructor(options: OpenMetadataOptions, writer: DatabaseWriter, reader: Connection) {
    const context: StoreContext = {
      reader,
      writer,
      content: options.content,
      digests: new KeyedLock(),
      nowMs: Date.now,
    };
    this.#options = options;
    this.#context = context;
    this.images = new SqliteImageTable(context);
    this.layers = new SqliteLayerTable(context);
    this.blobs = new SqliteBlobTable(context);
    this.containers = new SqliteDocumentTable('containers', context, (container) => [
      container.chain,
      ...(container.mountedChains ?? []),
    ]);
    this.networks = new SqliteDocumentTable('networks', context);
    this.volumes = new SqliteDocumentTable('volumes', context);
    this.buildCache = new SqliteBuildCacheTable(context);
    const { images, containers, volumes, buildCache } = this;
    this.journal = new SqliteJournal(
      context,
      { images, containers, volumes, buildCache },
      options.keeps ?? (() => false),
    );
    this.layerSources = new LayerSources(context);
    this.#leases = new Leases(context);
    this.#collector = new Collector(context, this.#leases, options.driver);
    this.#leases.onEnd = () => this.#collector.resume();
  }

  dropLeft(digest?: Digest): Promise<void> {
    return this.#leases.dropLeft(digest);
  }

  lease(options: { ttlMs?: number } = {}): Promise<Lease> {
    return this.#leases.create(options);
  }

  collect(options: { signal?: AbortSignal | undefined } = {}): Promise<CollectResult> {
    return this.#collector.collect(options);
  }

  async recover(): Promise<RecoverResult> {
    const result = await recoverFiles(this.#context, this.#leases);
    await this.#collector.collect();
    return result;
  }

  setting(key: string): string | undefined {
    const row = this.#context.reader.get('SELECT value FROM settings WHERE key = ?', key);
    return row && text(row, 'value');
  }

  setSetting(key: string, value: string): Promise<void> {
    return this.#context.writer.run('settings.put', { key, value });
  }

  readonly uploads: UploadTable = {
    take: (key) => this.#context.writer.run('uploads.take', { key, nowMs: this.#context.nowMs() }),
    keep: (key, location) => this.#context.writer.run('uploads.put', { key, location, nowMs: this.#context.nowMs() }),
  };

  damagedBlobs(options: DamagedBlobsOptions = {}): AsyncIterable<DamagedBlob> {
    return damagedBlobs({ context: this.#context, images: this.images }, options);
  }

  verify(options: { signal?: AbortSignal | undefined } = {}): AsyncIterable<string> {
    const { driver } = this.#options;
    return verifyStore({ context: this.#context, leases: this.#leases, images: this.images, driver }, options);
  }

  /** Waits for writes under way, then closes both connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#context.reader.close();
    await this.#context.writer[Symbol.asyncDispose]();
  }
}
