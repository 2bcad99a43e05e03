import { Semaphore, withTaskGroup } from '#concurrency';
import { Flights } from './flights.ts';
import { inputsFirst } from './inputs-first.ts';
import type { CacheKey, SolveOptions, Vertex, Work } from './types.ts';

/** Among a flight's reports: the work itself began, and ended well. */
const executing = Symbol('executing');
const executed = Symbol('executed');

/**
 * Walks graphs: inputs first, independent vertices beside each other, each vertex once. Builds that run at the same time share work with equal
 * cache keys. One solver serves a whole engine.
 */
export class Solver<R> {
  readonly #heavy: Semaphore;
  readonly #flights = new Flights<R>();

  /** @param limit heavy operations at once, over all builds */
  constructor(limit: number) {
    this.#heavy = new Semaphore(limit);
  }

  /**
   * Results of `targets`, in their order. The first failure aborts the rest; all work has ended when this returns or throws.
   */
  async solve(targets: readonly Vertex<R>[], options: SolveOptions<R>): Promise<R[]> {
    return await withTaskGroup(
      async (group) => {
        const running = new Map<string, Promise<R>>();
        for (const vertex of inputsFirst(targets)) {
          const inputs = vertex.inputs.map((input) => running.get(input.digest)!);
          const result = group.run(async (signal) => {
            const values = await Promise.all(inputs);
            return await this.#one(vertex, values, { ...options, signal });
          });
          running.set(vertex.digest, result);
        }
        return await Promise.all(targets.map(({ digest }) => running.get(digest)!));
      },
      { signal: options.signal },
    );
  }

  async #one(vertex: Vertex<R>, inputs: readonly R[], options: SolveOptions<R>): Promise<R> {
    const emit = (event: Parameters<typeof options.onEvent>[1]) => options.onEvent(vertex, event);
    const report = (event: unknown) => emit({ kind: 'report', event });
    options.signal.throwIfAborted();
    emit({ kind: 'started' });
    try {
      const key = await vertex.op.cacheKey(inputs, { signal: options.signal, report, isForReal: true });
      const result = key
        ? await this.#cached(vertex, inputs, key, options)
        : await this.#execute(vertex, inputs, { signal: options.signal, report }, (kind) => emit({ kind }));
      options.onResult?.(vertex, result);
      emit({ kind: 'done' });
      return result;
    } catch (error) {
      emit({ kind: 'failed', error });
      throw error;
    }
  }

  async #cached(vertex: Vertex<R>, inputs: readonly R[], key: CacheKey, options: SolveOptions<R>): Promise<R> {
    const { signal, cache } = options;
    const ignoreCache = typeof options.ignoreCache === 'function' ? options.ignoreCache(vertex) : options.ignoreCache;
    const hit = ignoreCache ? undefined : await cache.load(key, inputs);
    if (hit !== undefined) {
      options.onEvent(vertex, { kind: 'hit', key });
      return hit;
    }
    const listen = (event: unknown) => {
      if (event === executing) options.onEvent(vertex, { kind: 'executing', key });
      else if (event === executed) options.onEvent(vertex, { kind: 'executed' });
      else options.onEvent(vertex, { kind: 'report', event });
    };
    let saving: Promise<void> | undefined;
    let durationMs = 0;
    const save = (result: R) => (saving ??= cache.save(key, result, durationMs));
    const make = async (report: (event: unknown) => void) => {
      const tell = (kind: 'executing' | 'executed') => report(kind === 'executing' ? executing : executed);
      const startedMs = performance.now();
      const result = await this.#execute(vertex, inputs, { signal, report }, tell);
      durationMs = performance.now() - startedMs;
      save(result).catch(() => {});
      return result;
    };
    const flightKey = ignoreCache ? `${key.digest} ${crypto.randomUUID()}` : key.digest;
    return (await this.#flights.join(flightKey, { signal, listen, make, settle: save })).result;
  }

  async #execute(
    vertex: Vertex<R>,
    inputs: readonly R[],
    work: Work,
    tell: (kind: 'executing' | 'executed') => void,
  ): Promise<R> {
    using _place = vertex.heavy ? await this.#heavy.acquire({ signal: work.signal }) : undefined;
    tell('executing');
    const result = await vertex.op.execute(inputs, work);
    tell('executed');
    return result;
  }
}
