import { join } from 'node:path';
import type { ChainID, DiffID } from '#oci';
import { InitLayers } from './init-layers.ts';
import type { LayerStore } from './layer-store.ts';
import type { Marks } from './marks.ts';
import { SnapshotRecords } from './records.ts';
import type { Chain, LayerDriver, SnapshotInfo, SnapshotUsage, VerifyOptions } from './types.ts';
import type { SnapshotWorkers } from './workers.ts';

export interface LayeredDriverOptions<Layers extends LayerStore> {
  /** Rows of `docker info`. */
  readonly status: readonly (readonly [string, string])[];
  readonly root: string;
  readonly runRoot: string;
  readonly layers: Layers;
  readonly workers: SnapshotWorkers;
}

/** What drivers have in common, whatever a snapshot is to them: layers, and the records of snapshots. */
export abstract class LayeredDriver<Layers extends LayerStore = LayerStore> implements LayerDriver {
  protected readonly layers: Layers;
  protected readonly workers: SnapshotWorkers;
  protected readonly records: SnapshotRecords;
  protected readonly inits: InitLayers;
  protected readonly mountsFolder: string;
  readonly #status: LayeredDriverOptions<Layers>['status'];

  protected constructor(
    { status, root, runRoot, layers, workers }: LayeredDriverOptions<Layers>,
    marks: Marks = 'kernel',
  ) {
    this.#status = status;
    this.layers = layers;
    this.workers = workers;
    this.records = new SnapshotRecords(join(root, 'snapshots'));
    this.inits = new InitLayers(join(root, 'layers', 'init'), marks);
    this.mountsFolder = join(runRoot, 'mounts');
  }

  protected async load(): Promise<void> {
    await this.records.load();
    await this.inits.load();
  }

  status(): readonly (readonly [string, string])[] {
    return this.#status;
  }

  unpack(chain: Chain, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.layers.unpack(chain, options);
  }

  async letGo(diffID: DiffID): Promise<void> {
    await this.layers.letGo?.(diffID);
  }

  async removeLayer(diffID: DiffID, chains: readonly ChainID[]): Promise<void> {
    await this.layers.remove(diffID);
    await this.inits.remove(chains);
  }

  layerUsage(diffID: DiffID): Promise<SnapshotUsage> {
    return this.layers.usage(diffID);
  }

  layerIndexes(chain: Chain, options: { signal?: AbortSignal | undefined } = {}): Promise<readonly string[]> {
    return this.layers.indexes(chain, options.signal);
  }

  verify(layers: readonly DiffID[], options?: VerifyOptions): AsyncIterable<string> {
    return this.layers.verify(layers, options);
  }

  list(): Promise<readonly SnapshotInfo[]> {
    return Promise.resolve(this.records.list().map(({ key, kind, chain }) => ({ key, kind, chain })));
  }
}
