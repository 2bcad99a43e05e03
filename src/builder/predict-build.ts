import type { BuildStepPrediction } from '#api-types';
import { type Digest, type Platform, parsePlatform } from '#oci';
import { resolveBases, resolveCopyImages } from './bases.ts';
import { startBuild } from './build.ts';
import type { KeyComponents } from './executor/index.ts';
import { EarlierSteps } from './explain/index.ts';
import { type BuildGraph, buildGraph, type StepVertex } from './graph.ts';
import { neededFiles } from './needed-files.ts';
import { silently } from './progress/index.ts';
import { type Prediction, predict } from './solver/index.ts';
import type { BuilderHost, BuildRequest } from './types.ts';

/** Stands for an image that would be pulled: nothing is known of what is in it. */
const unknownImage = `sha256:${'0'.repeat(64)}` as Digest;

/**
 * What a build would do, step by step, without running or pulling anything. A step that stands on one that would run is taken to run as well: only a copy
 * from a stage that comes out the same as before may then be cached all the same.
 * @throws as {@link buildImage} does for faults in the Dockerfile or the context
 */
export async function predictBuild(host: BuilderHost, request: BuildRequest): Promise<readonly BuildStepPrediction[]> {
  const here: BuilderHost = {
    ...host,
    baseImage: async (reference) =>
      (await host.localImage(reference)) ?? { id: unknownImage, config: emptyConfig(host.platform) },
  };
  await using started = await startBuild(here, { ...request, pull: false });
  const { plan, session, recorder } = started;
  const bases = await resolveBases(here, request, plan, silently);
  const stages = plan.convert(bases);
  for (const [name, paths] of neededFiles(stages)) started.read.contexts.need(name, paths);
  const images = await resolveCopyImages(here, request, stages, silently);
  const graph = buildGraph(session, stages, images);
  const predictions = await predict(graph.ends, {
    cache: recorder,
    ignoreCache: request.noCache,
    signal: request.signal,
    isUnknown: (vertex) => isUnknown(graph, vertex.digest),
  });
  const earlier = new EarlierSteps(host.metadata.buildCache.list(), Date.now());
  const platform = request.platform ? parsePlatform(request.platform) : host.platform;
  return [...graph.byDigest.values()]
    .flat()
    .filter(({ operation }) => 'author' in operation)
    .sort((a, b) => a.step - b.step)
    .map((at) => stepPrediction(at, predictions.get(at.vertex.digest)!, { earlier, platform, host: host.platform }));
}

function emptyConfig({ os, architecture, variant }: Platform) {
  const platform = { os, architecture, ...(variant ? { variant } : {}) };
  return { ...platform, config: {}, rootfs: { type: 'layers', diff_ids: [] } } as const;
}

function isUnknown(graph: BuildGraph, digest: string): boolean {
  return (graph.byDigest.get(digest) ?? []).some(
    ({ operation }) => operation.kind === 'image' && operation.id === unknownImage,
  );
}

function stepPrediction(
  { step, operation }: StepVertex,
  prediction: Prediction,
  { earlier, platform, host }: { earlier: EarlierSteps; platform: Platform; host: Platform },
): BuildStepPrediction {
  const written = 'written' in operation ? operation.written : undefined;
  const key = prediction.kind === 'free' ? undefined : prediction.key;
  const unknown: KeyComponents = {
    parent: '',
    platform: '',
    operation: operation.kind,
    ...(written ? { written } : {}),
  };
  const nearest = earlier.nearest((key?.components as KeyComponents | undefined) ?? unknown);
  // Another line at the same place says nothing of how long this one takes.
  const before = nearest?.components.written?.text === written?.text ? nearest : undefined;
  const isRun = prediction.kind === 'run';
  return {
    step,
    text: written?.text ?? '',
    line: written?.line ?? 0,
    outcome: isRun ? 'run' : 'cached',
    ...(isRun && before?.record.durationMs !== undefined ? { expectedMs: before.record.durationMs } : {}),
    ...(isRun && before ? { expectedBytes: before.record.sizeBytes } : {}),
    platform: [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/'),
    emulated: operation.kind === 'run' && platform.architecture !== host.architecture,
  };
}
