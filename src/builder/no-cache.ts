import type { BuildPlan } from './convert/index.ts';
import type { BuildGraph } from './graph.ts';
import type { BuildRequest } from './types.ts';

/** Which vertexes run whatever the cache has: all, none, or the steps of stages that were named. */
export function ignoredCache(
  { noCache, noCacheStages = [] }: BuildRequest,
  plan: BuildPlan,
  graph: BuildGraph,
): boolean | ((vertex: { readonly digest: string }) => boolean) {
  if (noCache || noCacheStages.length === 0) return noCache;
  const names = new Set(noCacheStages.map((name) => name.toLowerCase()));
  const indexes = new Set(plan.stages.flatMap(({ stage }) => (names.has(stage.name) ? [stage.index] : [])));
  const isOf = (step: number) => indexes.has(plan.lineOf(step)?.stage ?? -1);
  return ({ digest }) => (graph.byDigest.get(digest) ?? []).some(({ step }) => isOf(step));
}
