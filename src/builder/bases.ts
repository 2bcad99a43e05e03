import { withTaskGroup } from '#concurrency';
import { EngineError, kindOf, messageOf } from '#errdefs';
import type { StoredLayer } from '#image';
import type { ProgressMessage } from '#transfer';
import { type BuildPlan, type DraftStage, type PlannedStage, type ResolvedBase, sourcesOf } from './convert/index.ts';
import { ForeignCache } from './executor/index.ts';
import { atStep, atStepSync } from './failed-step.ts';
import type { Tell } from './progress/index.ts';
import type { BuilderHost, BuildRequest } from './types.ts';

/** Images that stages start from, beside each other; each one's progress prints under its FROM. Answers them by stage. */
export async function resolveBases(
  host: BuilderHost,
  request: BuildRequest,
  plan: BuildPlan,
  tell: Tell,
): Promise<Map<number, ResolvedBase>> {
  const bases = new Map<number, ResolvedBase>();
  // Triggers of one may need stages that start from others.
  for (let open = openStages(plan, bases); open.length > 0; open = openStages(plan, bases)) {
    await withTaskGroup(
      async (group) => {
        for (const draft of open) {
          const find = async (signal: AbortSignal) => {
            const found = await baseOf(host, { ...request, signal }, draft, tell);
            bases.set(draft.stage.index, found);
          };
          group.run(find).catch(() => {});
        }
      },
      { signal: request.signal },
    );
    for (const draft of open) {
      const { config = {} } = bases.get(draft.stage.index)!.config;
      atStepSync(draft.firstStep, () => plan.addTriggers(draft, config));
    }
  }
  return bases;
}

function openStages(plan: BuildPlan, bases: ReadonlyMap<number, ResolvedBase>): readonly DraftStage[] {
  return plan.stages.filter(({ stage, needed, base }) => needed && base.kind === 'image' && !bases.has(stage.index));
}

async function baseOf(
  host: BuilderHost,
  request: BuildRequest,
  { base, firstStep: step }: DraftStage,
  tell: Tell,
): Promise<ResolvedBase> {
  if (base.kind !== 'image') throw new EngineError('internal', `step ${step} starts from no image`);
  const platform = base.platform || request.platform;
  const image = { reference: base.reference, step, ...(platform ? { platform } : {}) };
  return await atStep(step, () => lookUp(host, request, image, tell));
}

async function lookUp(
  host: BuilderHost,
  { pull, signal }: Pick<BuildRequest, 'pull' | 'signal'>,
  { reference, step, platform }: { reference: string; step: number; platform?: string },
  tell: Tell,
): Promise<ResolvedBase> {
  const image = { kind: 'image', reference, step } as const;
  tell({ ...image, state: 'started' });
  try {
    const onProgress = (message: ProgressMessage) => tell({ ...image, state: 'progress', message });
    const found = await host.baseImage(reference, { pull, onProgress, signal, ...(platform ? { platform } : {}) });
    tell({ ...image, state: 'done' });
    return found;
  } catch (error) {
    tell({ ...image, state: 'failed', error });
    throw error;
  }
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
  tell: Tell,
): Promise<Map<string, ResolvedBase>> {
  const images = new Map<string, ResolvedBase>();
  for (const { number, operations } of stages.flatMap((stage) => stage.steps)) {
    for (const from of operations.flatMap(sourcesOf)) {
      if (from.kind !== 'image') continue;
      const { reference } = from;
      if (images.has(reference)) continue;
      images.set(reference, await atStep(number, () => copyImage(host, request, reference, number, tell)));
    }
  }
  return images;
}

async function copyImage(
  host: BuilderHost,
  request: BuildRequest,
  reference: string,
  step: number,
  tell: Tell,
): Promise<ResolvedBase> {
  try {
    const { platform } = request;
    return await lookUp(host, request, { reference, step, ...(platform ? { platform } : {}) }, tell);
  } catch (error) {
    request.signal.throwIfAborted();
    throw new EngineError(kindOf(error), `invalid from flag value ${reference}: ${messageOf(error)}`, { cause: error });
  }
}
