import type { ChainID, Descriptor, DiffID, Digest } from '#oci';
import { integer, type Row, text } from '#sqlite';
import { blobUses } from './blob-uses.ts';
import { lockDigests, type StoreContext, vouchForBlob } from './store-context.ts';
import type { BlobTable, BlobUse, LayerOrigin, LayerRecord, LayerTable } from './types.ts';

export class SqliteLayerTable implements LayerTable {
  readonly #context: StoreContext;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  get(diffID: DiffID): LayerRecord | undefined {
    const row = this.#context.reader.get('SELECT * FROM layers WHERE diff_id = ?', diffID);
    return row && decodeLayer(row);
  }

  list(): readonly LayerRecord[] {
    return this.#context.reader.all('SELECT * FROM layers').map(decodeLayer);
  }

  async put(layer: LayerRecord, origin?: LayerOrigin): Promise<void> {
    using _held = await lockDigests(this.#context.digests, [layer.diffID]);
    await vouchForBlob(this.#context, layer.diffID);
    await this.#context.writer.run('layers.put', { layer, origin, nowMs: this.#context.nowMs() });
  }

  origins(diffID: DiffID): readonly LayerOrigin[] {
    return this.#context.reader
      .all('SELECT * FROM origins WHERE diff_id = ? ORDER BY seen_ms DESC', diffID)
      .map((row) => ({
        diffID,
        descriptor: JSON.parse(text(row, 'descriptor')) as Descriptor,
        repository: text(row, 'repository'),
      }));
  }

  addOrigin(origin: LayerOrigin): Promise<void> {
    return this.#context.writer.run('layers.addOrigin', { origin, nowMs: this.#context.nowMs() });
  }

  chainTops(): ReadonlyMap<ChainID, DiffID> {
    const rows = this.#context.reader.all('SELECT chain_id, diff_id FROM chains');
    return new Map(rows.map((row) => [text(row, 'chain_id') as ChainID, text(row, 'diff_id') as DiffID]));
  }

  isInUse(chain: ChainID): boolean {
    return this.#context.reader.get('SELECT 1 FROM chains WHERE chain_id = ? AND uses > 0', chain) !== undefined;
  }

  byOrigin(compressed: Digest): LayerRecord | undefined {
    const row = this.#context.reader.get(
      'SELECT layers.* FROM origins JOIN layers USING (diff_id) WHERE compressed = ? LIMIT 1',
      compressed,
    );
    return row && decodeLayer(row);
  }
}

function decodeLayer(row: Row): LayerRecord {
  return {
    diffID: text(row, 'diff_id') as DiffID,
    sizeBytes: integer(row, 'size'),
    createdMs: integer(row, 'created_ms'),
  };
}

export class SqliteBlobTable implements BlobTable {
  readonly #context: StoreContext;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  has(digest: Digest): boolean {
    return this.#context.reader.get('SELECT 1 FROM blobs WHERE digest = ?', digest) !== undefined;
  }

  list(): readonly { digest: Digest; sizeBytes: number }[] {
    return this.#context.reader
      .all('SELECT digest, size FROM blobs')
      .map((row) => ({ digest: text(row, 'digest') as Digest, sizeBytes: integer(row, 'size') }));
  }

  uses(): readonly BlobUse[] {
    return blobUses(this.#context.reader);
  }

  async put(digest: Digest, sizeBytes: number): Promise<void> {
    using _held = await lockDigests(this.#context.digests, [digest]);
    await vouchForBlob(this.#context, digest);
    await this.#context.writer.run('blobs.put', { digest, sizeBytes, nowMs: this.#context.nowMs() });
  }
}
