import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuthConfig, BuildOptions, BuildWarning, ListedContext, ProgressMessage, RebuildReport } from '#api-types';
import {
  type BuilderHost,
  type BuildRequest,
  type BuildResult,
  buildImage,
  type ContextFiles,
  checkOnly,
  predictBuild,
  type StepRun,
  type SyncedFolder,
  verifyRebuild,
} from '#builder';
import { cleanup } from '#concurrency';
import { EngineError } from '#errdefs';
import { readConfig, requireLinux } from '#image';
import { familiarString, parseReference, type Reference, withDefaultTag } from '#reference';
import { wasPruned } from './build-cache.ts';
import { lendCacheMount } from './build-cache-mount.ts';
import { keepBuildReport } from './build-reports.ts';
import { runBuildStep } from './build-step.ts';
import { keepBuildStep } from './build-step-kept.ts';
import { joinUlimits } from './containers/container-defaults.ts';
import type { EngineContext } from './context.ts';
import { givenAuth } from './given-auth.ts';
import { collectGarbage } from './images/collect.ts';
import { hasPlatform, platformOfIndex } from './images/platforms.ts';
import { findImage, resolveImage } from './images/resolve.ts';
import { pullInto } from './images/transfers.ts';
import { lendSecret, lendSocket } from './lent-files.ts';
import { progressStream } from './progress-stream.ts';
import { aheadBytes, withRoomAhead } from './trash/index.ts';

/** A build, its context as a tar or as a listing. Leaving the stream cancels the build; a failed one leaves no container, mount or file. */
export function build(
  ctx: EngineContext,
  source: BuildInput,
  options: BuildOptions & { signal?: AbortSignal | undefined } = {},
): AsyncIterable<ProgressMessage> {
  return progressStream((report, signal) => answer(ctx, source, options, { report, signal }), options.signal);
}

/** What a build is made of, and with. */
export type BuildInput = ContextFiles & Pick<BuildRequest, 'contexts' | 'dockerfileText' | 'handedOver'> & Credentials;

interface Credentials {
  /** Beside those of the options. */
  readonly credentials?: (registry: string, options: { signal: AbortSignal }) => Promise<AuthConfig | undefined>;
}

interface Watched extends Pick<BuildRequest, 'onBuilt' | 'onStatus' | 'shownPlatform'> {
  readonly report: (message: ProgressMessage) => void;
  readonly signal: AbortSignal;
}

async function answer(ctx: EngineContext, source: BuildInput, options: BuildOptions, watched: Watched): Promise<void> {
  const { report } = watched;
  await withRequest(ctx, source, options, watched, async (request, tags) => {
    if (options.plan) {
      for (const step of await predictBuild(hostOf(ctx, options), request)) report({ plan: step });
    } else if (options.check) report({ warnings: await checkOnly(hostOf(ctx, options), request) });
    else if (options.rebuild) report({ rebuild: await rebuild(ctx, request, options) });
    else await make(ctx, request, { ...options, ...source }, tags);
  });
}

/** A build whose caller wants to know what came of it. @throws what its stream would */
export async function runBuild(
  ctx: EngineContext,
  source: BuildInput,
  options: BuildOptions,
  watched: Watched,
): Promise<BuildResult> {
  return await withRequest(ctx, source, options, watched, (request, tags) =>
    make(ctx, request, { ...options, ...source }, tags),
  );
}

/** What the build checks say of a Dockerfile. */
export async function checkBuild(
  ctx: EngineContext,
  source: BuildInput,
  options: BuildOptions,
  watched: Watched,
): Promise<readonly BuildWarning[]> {
  const host = hostOf(ctx, { ...options, ...source });
  return await withRequest(ctx, source, options, watched, (request) => checkOnly(host, request));
}

async function make(
  ctx: EngineContext,
  request: BuildRequest,
  options: BuildOptions & Credentials,
  tags: readonly Reference[],
): Promise<BuildResult> {
  const image = await buildImage(hostOf(ctx, options), request);
  await cleanup('build report', () => keepBuildReport(ctx, image.id, image.explanations));
  for (const tag of tags) {
    ctx.events.emit({ type: 'image', action: 'tag', id: image.id, attributes: { name: familiarString(tag) } });
  }
  return image;
}

/** Gives a build its folder, and room. */
async function withRequest<T>(
  ctx: EngineContext,
  source: BuildInput,
  options: BuildOptions,
  { report, ...watched }: Watched,
  work: (request: BuildRequest, tags: readonly Reference[]) => Promise<T>,
): Promise<T> {
  const tags = (options.t ?? []).map((tag) => withDefaultTag(parseReference(tag)));
  if (tags.some((tag) => tag.digest !== undefined)) {
    throw new EngineError('invalid-argument', 'build tag cannot contain a digest');
  }
  const scratchRoot = join(ctx.root, 'tmp');
  await ctx.trash.keepFree(aheadBytes);
  await mkdir(scratchRoot, { recursive: true });
  const scratchDir = await mkdtemp(join(scratchRoot, 'build-'));
  ctx.buildFolders.add(scratchDir);
  try {
    const request = {
      ...withRoom(ctx, source),
      tags: tags.map((tag) => `${tag.domain}/${tag.path}:${tag.tag}`),
      scratchDir,
      room: {
        ahead: (bytes: AsyncIterable<Uint8Array>) => withRoomAhead(ctx.trash, bytes),
        make: () => ctx.trash.makeRoom(),
      },
      onProgress: report,
      ...watched,
      ...requestFields(options),
    };
    return await work(request, tags);
  } finally {
    await cleanup('build context', () => rm(scratchDir, { recursive: true, force: true }));
    ctx.buildFolders.delete(scratchDir);
    ctx.cacheKeeper.built();
  }
}

/** What comes from the client is stored as it comes. */
function withRoom(ctx: EngineContext, input: BuildInput): BuildInput {
  const { context, listed, synced } = input;
  const roomy = { ...input, context: withRoomAhead(ctx.trash, context) };
  if (listed) return { ...roomy, listed: { ...listed, context: roomyListing(ctx, listed.context) } };
  if (!synced) return roomy;
  const folder: SyncedFolder = {
    async list(paths, options) {
      const found = await synced.folder.list(paths, options);
      return { ...roomyListing(ctx, found), [Symbol.asyncDispose]: () => found[Symbol.asyncDispose]() };
    },
  };
  return { ...roomy, synced: { ...synced, folder } };
}

function roomyListing<T extends Pick<ListedContext, 'send'>>(ctx: EngineContext, listed: T): T {
  const send: ListedContext['send'] = (...args) => withRoomAhead(ctx.trash, listed.send(...args));
  return { ...listed, send };
}

/** What the rebuild left goes at once, so that nothing of it counts against the disk. */
async function rebuild(ctx: EngineContext, request: BuildRequest, options: BuildOptions): Promise<RebuildReport> {
  const { id } = resolveImage(ctx, options.rebuild!);
  try {
    return await verifyRebuild(hostOf(ctx, options), request, { id, config: await readConfig(ctx.content, id) });
  } finally {
    await collectGarbage(ctx);
  }
}

function requestFields(
  options: BuildOptions,
): Omit<BuildRequest, 'context' | 'listed' | 'tags' | 'scratchDir' | 'onProgress' | 'signal'> {
  return {
    dockerfile: options.dockerfile || 'Dockerfile',
    buildArgs: options.buildargs ?? {},
    labels: options.labels ?? {},
    target: options.target ?? '',
    noCache: options.nocache ?? false,
    noCacheStages: options.nocachestages ?? [],
    explain: options.explain ?? false,
    cacheFrom: options.cachefrom ?? [],
    pull: options.pull ?? false,
    quiet: options.q ?? false,
    squash: options.squash ?? false,
    keepSteps: keptSteps(options),
    networkMode: options.networkmode ?? 'default',
    extraHosts: options.extrahosts ?? [],
    limits: limitsOf(options),
    ...(options.remote ? { remote: options.remote } : {}),
    ...(options.platform ? { platform: options.platform } : {}),
    ...(options.shmsize ? { shmSizeBytes: options.shmsize } : {}),
  };
}

/** dockerd leaves the container of a step that failed even without `--rm=false`; here nothing stays that was not asked for. */
function keptSteps({ rm, forcerm, keepfailed }: BuildOptions): BuildRequest['keepSteps'] {
  if (forcerm) return 'none';
  if (rm === false) return 'all';
  return keepfailed ? 'failed' : 'none';
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
function hostOf(ctx: EngineContext, options: BuildOptions & Credentials): BuilderHost {
  const stepHost = {
    Ulimits: joinUlimits(options.ulimits ?? [], ctx.options.containerDefaults?.ulimits),
    CgroupParent: options.cgroupparent ?? '',
  };
  return {
    content: ctx.content,
    metadata: ctx.metadata,
    layers: ctx.layers,
    snapshots: ctx.snapshots,
    userNamespace: ctx.remap?.userNamespace,
    fileLists: ctx.fileLists,
    platform: ctx.platform,
    reproducible: ctx.options.reproducibleBuilds ?? true,
    steps: ctx.buildSteps,
    images: ctx.buildImages,
    runStep: (step) => runBuildStep(ctx, step, stepHost),
    keepStep: (kept) => keepBuildStep(ctx, kept, stepHost),
    lendSecret: (content, owner) => lendSecret(ctx, content, owner),
    lendSocket: (onConnection, owner) => lendSocket(ctx, onConnection, owner),
    cacheMount: (wish, lendOptions) => lendCacheMount(ctx, wish, lendOptions),
    wasPruned: (key) => wasPruned(ctx, key),
    async localImage(reference) {
      const image = findImage(ctx, reference);
      return image && { id: image.id, config: await readConfig(ctx.content, image.id) };
    },
    async baseImage(reference, { pull, platform, onProgress, signal }) {
      if (imageID.test(reference)) return await builtImage(ctx, reference);
      if (pull || !(await hasPlatform(ctx, reference, platform))) {
        const { domain } = parseReference(reference);
        const auth = givenAuth(options.auths, domain) ?? (await options.credentials?.(domain, { signal }));
        await pullInto(ctx, reference, {
          onProgress,
          signal,
          ...(platform ? { platform } : {}),
          ...(auth ? { auth } : {}),
        });
      }
      const image = (await platformOfIndex(ctx, reference, platform)) ?? resolveImage(ctx, reference);
      const config = await readConfig(ctx.content, image.id);
      requireLinux(config);
      return { id: image.id, config };
    },
  };
}

const imageID = /^sha256:[0-9a-f]{64}$/;

/** The result of another build. */
async function builtImage(ctx: EngineContext, id: string) {
  const image = resolveImage(ctx, id);
  return { id: image.id, config: await readConfig(ctx.content, image.id) };
}
