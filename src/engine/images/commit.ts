import type { CommitOptions } from '#api-types';
import { parseChanges } from '#dockerfile';
import { EngineError } from '#errdefs';
import { assembleImage, readConfig } from '#image';
import type { DiffID, HistoryEntry, ImageConfig, RunConfig } from '#oci';
import { familiarString, formatReference } from '#reference';
import { mergeEnv, mergeSets } from '../containers/config.ts';
import type { Container } from '../containers/container.ts';
import { emitContainer } from '../containers/events.ts';
import type { EngineContext } from '../context.ts';
import { formatNs, nowNs } from '../time.ts';
import { targetReference } from './tag.ts';

/**
 * `POST /commit`: pause → diff of the writable layer → ingest → config over the container's → image with parent → resume. The same
 * content gives the same layer.
 */
export async function commitContainer(
  ctx: EngineContext,
  reference: string,
  options: CommitOptions & { signal?: AbortSignal | undefined } = {},
): Promise<{ Id: string }> {
  const container = ctx.containers.resolve(reference);
  const target = options.repo ? targetReference(options.repo, options.tag) : undefined;
  const change = parseChanges(options.changes ?? []);
  const base = await baseConfig(ctx, container);
  await using lease = await ctx.metadata.lease();
  const onNamed = (diffID: DiffID) => lease.add(diffID);
  const layer = await ingestUpper(ctx, container, { ...options, onNamed });
  await ctx.metadata.layers.put({ diffID: layer.diffID, sizeBytes: layer.sizeBytes, createdMs: Date.now() });
  const config = committedConfig(container, base, layer.diffID, options, change);
  const image = await assembleImage(ctx.content, {
    config,
    layers: [...baseLayers(ctx, container), { diffID: layer.diffID, sizeBytes: layer.sizeBytes }],
    ...(container.body.imageID === '' || !ctx.metadata.images.get(container.body.imageID)
      ? {}
      : { parent: container.body.imageID }),
  });
  await lease.add(...image.references);
  await ctx.snapshots.unpack(image.diffIDs, { signal: options.signal });
  const keep = target && ctx.metadata.journal.keeping('commit', familiarString(target));
  await ctx.metadata.images.put(image, target ? [formatReference(target)] : [], [], { keep });
  const emit = (action: string, name: string) =>
    ctx.events.emit({ type: 'image', action, id: image.id, attributes: { ...config.config?.Labels, name } });
  emit('create', image.id);
  if (target) emit('tag', familiarString(target));
  const imageRef = target ? { imageRef: familiarString(target) } : {};
  emitContainer(ctx, container, 'commit', { comment: options.comment ?? '', imageID: image.id, ...imageRef });
  return { Id: image.id };
}

async function ingestUpper(
  ctx: EngineContext,
  container: Container,
  options: { pause?: boolean; signal?: AbortSignal | undefined; onNamed: (diffID: DiffID) => Promise<void> },
) {
  using _frozen = await ctx.locks.acquire(`freeze ${container.id}`, { signal: options.signal });
  const pause = (options.pause ?? true) && container.body.state.status === 'running';
  if (pause) {
    await ctx.runtime.pause(container.id);
    emitContainer(ctx, container, 'pause');
  }
  try {
    return await ctx.layers.ingest(ctx.snapshots.diff(container.id, { lend: true, signal: options.signal }), {
      signal: options.signal,
      onNamed: options.onNamed,
    });
  } finally {
    if (pause) {
      await ctx.runtime.resume(container.id);
      emitContainer(ctx, container, 'unpause');
    }
  }
}

async function baseConfig(ctx: EngineContext, container: Container): Promise<ImageConfig> {
  const { imageID } = container.body;
  if (imageID !== '' && ctx.metadata.images.get(imageID)) return await readConfig(ctx.content, imageID);
  const { architecture, os } = ctx.platform;
  return { architecture, os, rootfs: { type: 'layers', diff_ids: container.body.chain } };
}

function baseLayers(ctx: EngineContext, container: Container) {
  return container.body.chain.map((diffID) => {
    const record = ctx.metadata.layers.get(diffID);
    if (!record) throw new EngineError('data-loss', `commit ${container.id}: layer ${diffID} is missing`);
    return { diffID, sizeBytes: record.sizeBytes };
  });
}

function committedConfig(
  container: Container,
  base: ImageConfig,
  diffID: ImageConfig['rootfs']['diff_ids'][number],
  options: CommitOptions,
  change: <T extends RunConfig>(config: T) => T,
): ImageConfig {
  const created = formatNs(nowNs());
  const own = container.body.config as RunConfig;
  // Changes see what they change: the container's configuration, or the request's where there is one.
  const run = options.config ? mergeRun(change(definedFields(options.config)), own) : change(own);
  const {
    container: _container,
    container_config: _config,
    history = [],
    config: _run,
    created: _created,
    ...rest
  } = base;
  const entry: HistoryEntry = {
    created,
    created_by: [container.body.path, ...container.body.args].join(' '),
    ...(options.author ? { author: options.author } : {}),
    ...(options.comment ? { comment: options.comment } : {}),
  };
  return {
    ...rest,
    created,
    ...(options.author ? { author: options.author } : {}),
    config: run,
    container: container.id,
    rootfs: { type: 'layers', diff_ids: [...container.body.chain, diffID] },
    history: [...history, entry],
  };
}

/** The request's configuration over the container's, as dockerd merges them: lists and maps are joined, an entrypoint sets aside the container's command. */
function mergeRun(given: Partial<RunConfig>, own: RunConfig): RunConfig {
  const hasEntrypoint = (given.Entrypoint ?? []).length > 0;
  const exposed = mergeSets(given.ExposedPorts, own.ExposedPorts);
  return {
    ...own,
    ...given,
    ...(exposed ? { ExposedPorts: exposed } : {}),
    Env: mergeEnv(given.Env ?? [], own.Env ?? []),
    Labels: { ...own.Labels, ...given.Labels },
    Volumes: mergeSets(given.Volumes, own.Volumes) ?? null,
    Cmd: given.Cmd ?? (hasEntrypoint ? null : (own.Cmd ?? null)),
  };
}

/** Fields of the request's config that say something: a client that sends an empty object changes nothing. */
function definedFields(config: CommitOptions['config']): Partial<RunConfig> {
  const given = Object.entries(config ?? {}).filter(([, value]) => {
    if (value === undefined || value === null || value === '' || value === false) return false;
    return !(typeof value === 'object' && Object.keys(value).length === 0);
  });
  return Object.fromEntries(given) as Partial<RunConfig>;
}
