import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildCachePruned, BuildOptions, Filters, ProgressMessage } from '#api-types';
import { type BuilderHost, type BuildRequest, buildImage, type StepRun } from '#builder';
import { cleanup } from '#concurrency';
import { EngineError } from '#errdefs';
import { readConfig } from '#image';
import type { ImageRecord } from '#metadata';
import { familiarString, parseReference, withDefaultTag } from '#reference';
import { runBuildStep } from './build-step.ts';
import { keepBuildStep } from './build-step-kept.ts';
import { cacheSelection } from './cache-filters.ts';
import type { EngineContext } from './context.ts';
import { collectGarbage } from './images/collect.ts';
import { findImage, resolveImage } from './images/resolve.ts';
import { pullInto } from './images/transfers.ts';
import { progressStream } from './progress-stream.ts';

/** `POST /build`. Leaving the stream cancels the build; a failed one leaves no container, mount or file. */
export function build(
  ctx: EngineContext,
  context: AsyncIterable<Uint8Array>,
  options: BuildOptions & { signal?: AbortSignal | undefined } = {},
): AsyncIterable<ProgressMessage> {
  return progressStream(async (report, signal) => {
    const tags = (options.t ?? []).map((tag) => withDefaultTag(parseReference(tag)));
    if (tags.some((tag) => tag.digest !== undefined)) {
      throw new EngineError('invalid-argument', 'build tag cannot contain a digest');
    }
    const scratchRoot = join(ctx.root, 'tmp');
    await mkdir(scratchRoot, { recursive: true });
    const scratchDir = await mkdtemp(join(scratchRoot, 'build-'));
    ctx.buildFolders.add(scratchDir);
    try {
      const image = await buildImage(hostOf(ctx, options), {
        context,
        tags: tags.map((tag) => `${tag.domain}/${tag.path}:${tag.tag}`),
        scratchDir,
        onProgress: report,
        signal,
        ...requestFields(options),
      });
      for (const tag of tags) {
        ctx.events.emit({ type: 'image', action: 'tag', id: image.id, attributes: { name: familiarString(tag) } });
      }
    } finally {
      await cleanup('build context', () => rm(scratchDir, { recursive: true, force: true }));
      ctx.buildFolders.delete(scratchDir);
    }
  }, options.signal);
}

function requestFields(
  options: BuildOptions,
): Omit<BuildRequest, 'context' | 'tags' | 'scratchDir' | 'onProgress' | 'signal'> {
  return {
    dockerfile: options.dockerfile || 'Dockerfile',
    buildArgs: options.buildargs ?? {},
    labels: options.labels ?? {},
    target: options.target ?? '',
    noCache: options.nocache ?? false,
    pull: options.pull ?? false,
    quiet: options.q ?? false,
    keepSteps: keptSteps(options),
    networkMode: options.networkmode ?? 'default',
    extraHosts: options.extrahosts ?? [],
    limits: limitsOf(options),
    ...(options.platform ? { platform: options.platform } : {}),
    ...(options.shmsize ? { shmSizeBytes: options.shmsize } : {}),
  };
}

/** `--force-rm` counts for more than `--rm=false`. */
function keptSteps({ rm, forcerm }: BuildOptions): BuildRequest['keepSteps'] {
  if (forcerm) return 'none';
  return rm === false ? 'all' : 'failed';
}

function limitsOf(options: BuildOptions): StepRun['limits'] {
  return {
    ...(options.memory ? { memoryBytes: options.memory } : {}),
    ...(options.memswap ? { memorySwapBytes: options.memswap } : {}),
    ...(options.cpushares ? { cpuShares: options.cpushares } : {}),
    ...(options.cpuperiod ? { cpuPeriod: options.cpuperiod } : {}),
    ...(options.cpuquota ? { cpuQuota: options.cpuquota } : {}),
    ...(options.cpusetcpus ? { cpusetCpus: options.cpusetcpus } : {}),
    ...(options.cpusetmems ? { cpusetMems: options.cpusetmems } : {}),
  };
}

/** What the builder sees of the engine. */
function hostOf(ctx: EngineContext, options: BuildOptions): BuilderHost {
  return {
    content: ctx.content,
    metadata: ctx.metadata,
    layers: ctx.layers,
    snapshots: ctx.snapshots,
    userNamespace: ctx.remap?.userNamespace,
    platform: ctx.platform,
    steps: ctx.buildSteps,
    runStep: (step) => runBuildStep(ctx, step),
    keepStep: (kept) => keepBuildStep(ctx, kept),
    async baseImage(reference, { pull, platform, onProgress, signal }) {
      if (pull || findImage(ctx, reference) === undefined) {
        const { domain } = parseReference(reference);
        const auth = options.auths?.[domain] ?? options.auths?.[`https://${domain}`];
        await pullInto(ctx, reference, {
          onProgress,
          signal,
          ...(platform ? { platform } : {}),
          ...(auth ? { auth } : {}),
        });
      }
      const image = resolveImage(ctx, reference);
      return { id: image.id, config: await readConfig(ctx.content, image.id) };
    },
  };
}

/** `POST /build/prune`. Without `all`, records that images still need are kept. */
export async function pruneBuildCache(
  ctx: EngineContext,
  options: { all?: boolean; filters?: Filters; keepStorageBytes?: number } = {},
): Promise<BuildCachePruned> {
  const isWanted = cacheSelection(options.filters ?? {});
  const needed = neededImages(ctx);
  const wanted = ctx.metadata.buildCache
    .list()
    .filter((record) => options.all || record.result.imageID === undefined || !needed.has(record.result.imageID))
    .filter(isWanted)
    .sort((a, b) => a.lastUsedMs - b.lastUsedMs);
  let keptBytes = ctx.metadata.buildCache.list().reduce((sum, record) => sum + record.sizeBytes, 0);
  const removed = wanted.filter((record) => {
    if (keptBytes <= (options.keepStorageBytes ?? 0) && options.keepStorageBytes) return false;
    keptBytes -= record.sizeBytes;
    return true;
  });
  await ctx.metadata.buildCache.remove(removed.map((record) => record.key));
  const freedBytes = await collectGarbage(ctx);
  ctx.events.emit({ type: 'builder', action: 'prune', id: '', attributes: { reclaimed: String(freedBytes) } });
  return { CachesDeleted: removed.length > 0 ? removed.map((record) => record.key) : null, SpaceReclaimed: freedBytes };
}

/** Images with a name, and what they grew from: a build over them would want its cache. */
function neededImages(ctx: EngineContext): Set<string> {
  const needed = new Set<string>();
  for (const named of ctx.metadata.images.list().filter((image) => image.names.length > 0)) {
    for (let image: ImageRecord | undefined = named; image && !needed.has(image.id); ) {
      needed.add(image.id);
      image = image.parent ? ctx.metadata.images.get(image.parent) : undefined;
    }
  }
  return needed;
}
