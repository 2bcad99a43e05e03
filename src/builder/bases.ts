import { withTaskGroup } from '#concurrency';
import { EngineError, kindOf, messageOf } from '#errdefs';
import type { StoredLayer } from '#image';
import { type BuildPlan, type PlannedStage, type ResolvedBase, sourcesOf } from './convert/index.ts';
import { ForeignCache } from './executor/index.ts';
import { atStep } from './failed-step.ts';
import type { Transcript } from './transcript.ts';
import type { BuilderHost, BuildRequest } from './types.ts';

/** Images that stages start from, beside each other; each one's progress prints under its FROM. Answers them by stage. */
export async function resolveBases(
  host: BuilderHost,
  request: BuildRequest,
  plan: BuildPlan,
  transcript: Transcript,
): Promise<Map<number, ResolvedBase>> {
  const bases = new Map<number, ResolvedBase>();
  await withTaskGroup(
    async (group) => {
      for (const { stage, needed, base, firstStep } of plan.stages) {
        if (!needed || base.kind !== 'image') continue;
        const platform = base.platform || request.platform;
        group
          .run(async (signal) => {
            const onProgress = (message: Parameters<typeof request.onProgress>[0]) =>
              transcript.message(firstStep, message);
            const options = { pull: request.pull, onProgress, signal, ...(platform ? { platform } : {}) };
            bases.set(stage.index, await atStep(firstStep, () => host.baseImage(base.reference, options)));
          })
          .catch(() => {});
      }
    },
    { signal: request.signal },
  );
  return bases;
}

/** The images of `--cache-from` that are here; others are no cache, as with dockerd. */
export async function foreignCache(host: BuilderHost, references: readonly string[]): Promise<ForeignCache> {
  const images = await Promise.all(references.map((reference) => host.localImage(reference)));
  return new ForeignCache(
    images.flatMap((image) => {
      const layers = image?.config.rootfs.diff_ids.flatMap((diffID): StoredLayer[] => {
        const layer = host.metadata.layers.get(diffID);
        return layer ? [{ diffID, sizeBytes: layer.sizeBytes }] : [];
      });
      return image && layers ? [{ config: image.config, layers }] : [];
    }),
  );
}

/** Images that COPY --from and mounts name. */
export async function resolveCopyImages(
  host: BuilderHost,
  request: BuildRequest,
  stages: readonly PlannedStage[],
  transcript: Transcript,
): Promise<Map<string, ResolvedBase>> {
  const images = new Map<string, ResolvedBase>();
  for (const { number, operations } of stages.flatMap((stage) => stage.steps)) {
    for (const from of operations.flatMap(sourcesOf)) {
      if (from.kind !== 'image') continue;
      const { reference } = from;
      if (images.has(reference)) continue;
      images.set(reference, await atStep(number, () => copyImage(host, request, reference, number, transcript)));
    }
  }
  return images;
}

async function copyImage(
  host: BuilderHost,
  request: BuildRequest,
  reference: string,
  step: number,
  transcript: Transcript,
): Promise<ResolvedBase> {
  try {
    return await host.baseImage(reference, {
      pull: request.pull,
      onProgress: (message) => transcript.message(step, message),
      signal: request.signal,
      ...(request.platform ? { platform: request.platform } : {}),
    });
  } catch (error) {
    request.signal.throwIfAborted();
    throw new EngineError(kindOf(error), `invalid from flag value ${reference}: ${messageOf(error)}`, { cause: error });
  }
}
