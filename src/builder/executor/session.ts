import { join } from 'node:path';
import type { IgnoreMatcher } from '#dockerfile';
import type { StoredLayer } from '#image';
import type { DiffID } from '#oci';
import type { ByteSource } from '#streams';
import type { Work } from '../solver/index.ts';
import type { BuildTimes } from '../source-date-epoch.ts';
import type { BuilderHost, BuildRequest } from '../types.ts';
import type { ContextLayer } from './context-layer.ts';
import { LayerDraft } from './layer-draft.ts';
import { type Moment, momentOf } from './moment.ts';
import type { Recorder } from './recorder.ts';
import type { SourceTree } from './source-tree.ts';
import { Spool } from './spool.ts';
import type { StepState } from './state.ts';
import { Views } from './views.ts';

/** The build's own context, and those of a name. */
export interface ContextSource {
  get(name?: string): Promise<SourceTree>;
}

/** What the operations of one build share. Dispose ends its mounts. */
export class BuildSession implements AsyncDisposable {
  readonly host: BuilderHost;
  readonly request: BuildRequest;
  readonly contexts: ContextSource;
  /** The patterns of its .dockerignore. */
  readonly ignored: IgnoreMatcher;
  readonly recorder: Recorder;
  readonly views: Views;
  /** By path in the context and moment; made when a mount asks for them. */
  readonly contextLayers = new Map<string, Promise<ContextLayer>>();
  readonly #times: BuildTimes;
  readonly #over = new AbortController();
  readonly #begun: Promise<unknown>[] = [];
  #numbers = 0;

  constructor(parts: {
    host: BuilderHost;
    request: BuildRequest;
    contexts: ContextSource;
    ignored: IgnoreMatcher;
    recorder: Recorder;
    times: BuildTimes;
  }) {
    this.host = parts.host;
    this.request = parts.request;
    this.contexts = parts.contexts;
    this.ignored = parts.ignored;
    this.#times = parts.times;
    this.recorder = parts.recorder;
    this.views = new Views(parts.host.snapshots);
  }

  /** A layer above a state, to be filled. */
  async draft(state: StepState, work: Work): Promise<LayerDraft> {
    await this.recorder.hold(state);
    return new LayerDraft(await this.views.tree(chainOf(state), work));
  }

  newSpool(): Spool {
    return new Spool(join(this.request.scratchDir, `spool-${this.nextNumber()}`));
  }

  /** When a step takes place that stands on these states: the one before it, and what it copies from. */
  momentOf(inputs: readonly StepState[]): Moment {
    return momentOf(this.#times, inputs);
  }

  /** For names in the scratch folder. */
  nextNumber(): number {
    return ++this.#numbers;
  }

  /** Stores a layer's tar; the build's lease keeps it. */
  async ingest(source: ByteSource, work: Work): Promise<StoredLayer> {
    const { diffID, sizeBytes } = await this.host.layers.ingest(source, {
      onNamed: (name) => this.recorder.holdLayers([name]),
      signal: work.signal,
    });
    await this.host.metadata.layers.put({ diffID, sizeBytes, createdMs: Date.now() });
    return { diffID, sizeBytes };
  }

  /** Work that may turn out not to be needed: it ends with the build, if not before. */
  begin<T>(work: (signal: AbortSignal) => Promise<T>, { signal }: Work): Promise<T> {
    const begun = work(AbortSignal.any([signal, this.#over.signal]));
    begun.catch(() => {});
    this.#begun.push(begun);
    return begun;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await Promise.allSettled(this.#begun);
    await this.views[Symbol.asyncDispose]();
  }
}

export function chainOf(state: StepState): readonly DiffID[] {
  return state.layers.map((layer) => layer.diffID);
}
