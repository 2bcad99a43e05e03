import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { EngineError } from '#errdefs';
import type { BuildHistoryEventSchema, BuildHistoryRequest } from '../proto/control_pb.ts';
import { statusOf } from './fault-status.ts';
import type { RunningBuild } from './running-build.ts';

/** Builds that are remembered; the oldest go first. */
const maxBuilds = 50;

/** Of a build that has ended, this much of its output stays for `history logs`. */
const keptLogBytes = 256 << 10;

type HistoryEvent = MessageInitShape<typeof BuildHistoryEventSchema>;

const eventType = { started: 0, complete: 1, deleted: 2 } as const;

interface Remembered {
  readonly build: RunningBuild;
  readonly createdMs: number;
  completedMs?: number;
  error?: unknown;
  answer?: Readonly<Record<string, string>>;
  isPinned: boolean;
}

/** What builds of this daemon's life came to, and what they told. */
export class BuildHistory {
  readonly #builds = new Map<string, Remembered>();
  readonly #listeners = new Set<(event: HistoryEvent) => void>();

  begin(build: RunningBuild): void {
    this.#builds.set(build.ref, { build, createdMs: Date.now(), isPinned: false });
    const ended = [...this.#builds].filter(([, one]) => one.completedMs !== undefined && !one.isPinned);
    for (const [ref] of ended.slice(0, Math.max(this.#builds.size - maxBuilds, 0))) this.#builds.delete(ref);
    this.#tell(build.ref, eventType.started);
  }

  end(build: RunningBuild, outcome: { answer: Readonly<Record<string, string>> } | { error: unknown }): void {
    const remembered = this.#builds.get(build.ref);
    if (remembered?.build !== build) return;
    Object.assign(remembered, outcome, { completedMs: Date.now() });
    build.feed.keepOnly(keptLogBytes);
    this.#tell(build.ref, eventType.complete);
  }

  /** A build that is under way or has ended; undefined when it is not remembered. */
  get(ref: string): RunningBuild | undefined {
    return this.#builds.get(ref)?.build;
  }

  /** @throws `not-found` */
  change(ref: string, change: { pinned?: boolean; delete?: boolean }): void {
    const remembered = this.#builds.get(ref);
    if (!remembered) throw new EngineError('not-found', `no such build: ${ref}`);
    if (change.delete) {
      if (remembered.completedMs === undefined) throw new EngineError('conflict', `build ${ref} is under way`);
      const event = eventOf(remembered, eventType.deleted);
      this.#builds.delete(ref);
      for (const listen of this.#listeners) listen(event);
    } else if (change.pinned !== undefined) remembered.isPinned = change.pinned;
  }

  /** What is remembered, oldest first, then, unless the client leaves early, what happens. @throws `not-implemented` */
  async *listen(request: BuildHistoryRequest, { signal }: { signal: AbortSignal }): AsyncGenerator<HistoryEvent> {
    const { ref, activeOnly, earlyExit, filter, limit } = request;
    if (filter.length > 0)
      throw new EngineError('not-implemented', `a history by filters (${filter[0]}) is not supported`);
    const isMeant = (event: HistoryEvent) =>
      (ref === '' || event.record?.ref === ref) && (!activeOnly || event.type === eventType.started);
    const pending: HistoryEvent[] = [...this.#builds.values()]
      .map((one) => eventOf(one, one.completedMs === undefined ? eventType.started : eventType.complete))
      .filter(isMeant)
      .slice(limit > 0 ? -limit : 0);
    if (earlyExit) {
      yield* pending;
      return;
    }
    yield* this.#follow(pending, isMeant, signal);
  }

  async *#follow(
    pending: HistoryEvent[],
    isMeant: (event: HistoryEvent) => boolean,
    signal: AbortSignal,
  ): AsyncGenerator<HistoryEvent> {
    let wake = () => {};
    const listen = (event: HistoryEvent) => {
      if (isMeant(event)) pending.push(event);
      wake();
    };
    this.#listeners.add(listen);
    const stop = () => wake();
    signal.addEventListener('abort', stop, { once: true });
    try {
      while (!signal.aborted) {
        yield* pending.splice(0);
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        if (pending.length === 0 && !signal.aborted) await promise;
      }
    } finally {
      this.#listeners.delete(listen);
      signal.removeEventListener('abort', stop);
    }
  }

  #tell(ref: string, type: number): void {
    const remembered = this.#builds.get(ref);
    if (!remembered) return;
    for (const listen of this.#listeners) listen(eventOf(remembered, type));
  }
}

function eventOf({ build, createdMs, completedMs, error, answer, isPinned }: Remembered, type: number): HistoryEvent {
  const { steps, cached, completed, warnings } = build.status.counts();
  const failed = error === undefined ? undefined : statusOf(error);
  return {
    type,
    record: {
      ref: build.ref,
      ...build.described(),
      createdAt: timestampFromMs(createdMs),
      ...(completedMs === undefined ? {} : { completedAt: timestampFromMs(completedMs) }),
      ...(failed ? { error: { code: failed.code, message: failed.rawMessage } } : {}),
      exporterResponse: { ...answer },
      pinned: isPinned,
      totalSteps: steps,
      completedSteps: completed,
      cachedSteps: cached,
      warnings,
    },
  };
}
