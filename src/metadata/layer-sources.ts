import type { DiffID, Digest } from '#oci';
import { text } from '#sqlite';
import type { StoreContext } from './store-context.ts';

/** Which layers read bytes of others, whose files therefore stay. */
export class LayerSources {
  readonly #context: StoreContext;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /** Layers that have been looked at, once and for all: what their files hold now they go on holding, or more. */
  done(): ReadonlySet<DiffID> {
    return new Set(this.#column('SELECT diff_id AS value FROM lightened'));
  }

  readers(): readonly DiffID[] {
    return this.#column('SELECT DISTINCT diff_id AS value FROM layer_sources');
  }

  of(diffID: Digest): readonly DiffID[] {
    return this.#column('SELECT source AS value FROM layer_sources WHERE diff_id = ?', diffID);
  }

  /** Layers that read bytes of this one. */
  readersOf(source: Digest): readonly DiffID[] {
    return this.#column('SELECT diff_id AS value FROM layer_sources WHERE source = ?', source);
  }

  /** Layers that are kept for the sake of those who read their bytes, and for nothing else. */
  keptForOthers(): readonly DiffID[] {
    return this.#column('SELECT digest AS value FROM only_sources ORDER BY digest');
  }

  /** Before a recipe names them. @throws `failed-precondition` when one of them is gone, or not done itself. */
  put(diffID: DiffID, sources: readonly DiffID[]): Promise<void> {
    return this.#context.writer.run('layerSources.put', { diffID, sources });
  }

  markDone(diffID: DiffID): Promise<void> {
    return this.#context.writer.run('layerSources.done', diffID);
  }

  /** After no recipe names them any more. */
  release(diffID: DiffID, sources: readonly DiffID[]): Promise<void> {
    return this.#context.writer.run('layerSources.release', { diffID, sources });
  }

  #column(sql: string, ...values: string[]): DiffID[] {
    return this.#context.reader.all(sql, ...values).map((row) => text(row, 'value') as DiffID);
  }
}
