import { inputsFirst } from './inputs-first.ts';
import type { CacheKey, ResultCache, Vertex } from './types.ts';

/** What would become of a vertex. `run` has no key where it stands on a result that is not there yet. */
export type Prediction =
  | { readonly kind: 'free' }
  | { readonly kind: 'cached'; readonly key: CacheKey }
  | { readonly kind: 'run'; readonly key?: CacheKey };

export interface PredictOptions<R> {
  readonly cache: ResultCache<R>;
  readonly ignoreCache: boolean;
  readonly signal: AbortSignal;
  /** Not to be looked into: what stands on it would run. */
  readonly isUnknown: (vertex: Vertex<R>) => boolean;
}

/**
 * What a solve would do, without doing it: keys are asked for and looked up as far as results are there. Operations without keys are made, as they cost
 * nothing; no others are.
 */
export async function predict<R>(
  targets: readonly Vertex<R>[],
  options: PredictOptions<R>,
): Promise<ReadonlyMap<string, Prediction>> {
  const predictions = new Map<string, Prediction>();
  const results = new Map<string, R | undefined>();
  for (const vertex of inputsFirst(targets)) {
    results.set(vertex.digest, await one(vertex, results, predictions, options));
  }
  return predictions;
}

async function one<R>(
  vertex: Vertex<R>,
  results: ReadonlyMap<string, R | undefined>,
  predictions: Map<string, Prediction>,
  { cache, ignoreCache, signal, isUnknown }: PredictOptions<R>,
): Promise<R | undefined> {
  const inputs: R[] = [];
  let isWhole = !isUnknown(vertex);
  for (const input of vertex.inputs) {
    const result = results.get(input.digest);
    if (result === undefined) isWhole = false;
    else inputs.push(result);
  }
  if (!isWhole) {
    predictions.set(vertex.digest, { kind: 'run' });
    return undefined;
  }
  const work = { signal, report: () => {} };
  const key = await vertex.op.cacheKey(inputs, work);
  if (!key) {
    predictions.set(vertex.digest, { kind: 'free' });
    return await vertex.op.execute(inputs, work);
  }
  const result = ignoreCache ? undefined : await cache.load(key, inputs);
  predictions.set(vertex.digest, result === undefined ? { kind: 'run', key } : { kind: 'cached', key });
  return result;
}
