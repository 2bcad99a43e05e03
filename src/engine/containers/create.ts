import { mkdir, rm } from 'node:fs/promises';
import type { ContainerCreateConfig, ContainerCreated, ContainerCreateOptions, HostConfig, PortMap } from '#api-types';
import { cleanup } from '#concurrency';
import { EngineError } from '#errdefs';
import { fsyncFolder, resolveInRoot } from '#files';
import { platformOf, readKnownConfig } from '#image';
import type { ImageRecord } from '#metadata';
import { parseExtraHost } from '#network';
import { hostPlatform, type ImageConfig, type RunConfig } from '#oci';
import type { EngineContext } from '../context.ts';
import { newID, newName } from '../ids.ts';
import { resolveForPlatform } from '../images/platforms.ts';
import { formatNs, nowNs } from '../time.ts';
import { traced } from '../trace.ts';
import { checkJoined, normalMode, requestedNetworks } from './attachments.ts';
import { mergeConfig } from './config.ts';
import { Container } from './container.ts';
import { emitContainer } from './events.ts';
import { foreignPlatformWarnings } from './foreign-platform.ts';
import { checkHealthcheck } from './health-policy.ts';
import { settleOptions } from './host-options.ts';
import { resolveImageMounts, unpackImageMounts } from './image-mounts.ts';
import { requestedLinks } from './links/index.ts';
import { decideMounts, type MountDecision } from './mounts.ts';
import { containerPaths } from './paths.ts';
import { wantedPorts } from './ports.ts';
import { type ContainerBody, initialState } from './record.ts';
import { parseSecurity } from './security.ts';
import { saveContainer } from './store.ts';
import { type MountPlan, makeVolumes, ownVolumes } from './volume-plan.ts';
import { inheritedMounts } from './volumes-from.ts';
import { writableLayer } from './writable-layer.ts';

/** In dockerd's words. */
const imageMountWarning = 'Image mount is an experimental feature';

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/**
 * `POST /containers/create`: resolve the image, merge its configuration, claim the name, prepare the snapshot, make volumes, record.
 * A failure leaves nothing behind.
 */
export function createContainer(
  ctx: EngineContext,
  config: ContainerCreateConfig,
  options: ContainerCreateOptions = {},
): Promise<ContainerCreated> {
  const id = newID();
  return traced('create', id, () => createAs(ctx, id, config, options));
}

async function createAs(
  ctx: EngineContext,
  id: string,
  config: ContainerCreateConfig,
  options: ContainerCreateOptions,
): Promise<ContainerCreated> {
  if (!config.Image) {
    const hasCommand = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])].length > 0;
    throw new EngineError('invalid-argument', `no ${hasCommand ? 'image' : 'command'} specified`);
  }
  const image = await resolveForPlatform(ctx, config.Image, options.platform);
  const imageConfig = await readKnownConfig(ctx.content, image.id);
  requireRunnable(config.Image, imageConfig);
  checkJoined(config);
  const mode = normalMode(ctx, config.HostConfig?.NetworkMode ?? '');
  const settled = settleOptions(ctx, config, { ...config.HostConfig, NetworkMode: mode });
  const draft = draftBody(ctx, id, { create: config, hostConfig: settled.hostConfig }, { image, imageConfig });
  const inherited = inheritedMounts(ctx, draft.hostConfig.VolumesFrom);
  const wanted = decideMounts(draft.config, draft.hostConfig, options, inherited);
  const decided = { ...wanted, mounts: resolveImageMounts(ctx, wanted.mounts) };
  const name = claimName(ctx, options.name, id);
  using _making = ctx.containers.making(new Container(id, name, { ...draft, mounts: decided.mounts }));
  try {
    await ctx.snapshots.unpack(image.diffIDs);
    await unpackImageMounts(ctx, decided.mounts);
    await traced('prepare', id, () => ctx.snapshots.prepare(id, image.diffIDs, writableLayer(ctx, draft.hostConfig)));
    const plan = await planVolumes(ctx, new Container(id, name, { ...draft, mounts: decided.mounts }), decided);
    await populateVolumes(ctx, id, plan);
    await mkdir(containerPaths(ctx, id).folder, { recursive: true, mode: 0o710 });
    const container = new Container(id, name, { ...draft, mounts: plan.mounts });
    await traced('record', id, () => record(ctx, container));
    ctx.containers.add(container);
    emitContainer(ctx, container, 'create');
  } catch (error) {
    ctx.containers.releaseName(name);
    await cleanup('container that could not be created', async () => {
      await ctx.snapshots.remove(id);
      await rm(containerPaths(ctx, id).folder, { recursive: true, force: true });
      const made = decided.mounts.filter((mount) => mount.kind === 'volume' && !mount.inherited);
      for (const volume of ownVolumes(made)) if (ctx.volumes.find(volume)) await ctx.volumes.remove(volume);
      await ctx.metadata.containers.remove(id);
    });
    throw error;
  }
  const isExperimental = draft.hostConfig.Mounts?.some((mount) => mount.Type === 'image');
  const isWanted = options.platform !== undefined;
  const foreign = await foreignPlatformWarnings(platformOf(imageConfig), hostPlatform(), { isWanted });
  return { Id: id, Warnings: [...settled.warnings, ...foreign, ...(isExperimental ? [imageMountWarning] : [])] };
}

/** @throws `invalid-argument` for an image of another system: there is no kernel for it here. */
function requireRunnable(name: string, { os, ...config }: ImageConfig): void {
  if (os === '' || os === 'linux') return;
  const version = config['os.version'] ? ` ${config['os.version']}` : '';
  throw new EngineError(
    'invalid-argument',
    `cannot run ${name} here: it is for ${os}${version}, and containers share the kernel of this machine, which is Linux. The image can be listed, inspected, copied, saved and pushed; to run it, use a ${os} machine, or --platform for another platform of it`,
  );
}

/** One that removes itself does not come back after a power cut, so nobody waits for the disk. */
async function record(ctx: EngineContext, container: Container): Promise<void> {
  if (container.body.hostConfig.AutoRemove) return await saveContainer(ctx, container);
  // At once: a record that is there alone has an empty writable layer made anew at the next start.
  const { folder } = containerPaths(ctx, container.id);
  await Promise.all([ctx.snapshots.persist(container.id), fsyncFolder(folder), saveContainer(ctx, container, true)]);
}

/** Volumes of its own are named in a record before they are made: a crash from here on leaves none without an owner. */
async function planVolumes(ctx: EngineContext, draft: Container, decided: MountDecision): Promise<MountPlan> {
  if (ownVolumes(decided.mounts).length > 0) {
    draft.body = { ...draft.body, unfinished: true };
    await saveContainer(ctx, draft);
  }
  return await makeVolumes(ctx, decided);
}

/** Takes the name that was given, or one that is free. */
export function claimName(ctx: EngineContext, given: string | undefined, id: string): string {
  if (given !== undefined && given !== '') {
    const name = given.replace(/^\//, '');
    if (!namePattern.test(name)) {
      throw new EngineError(
        'invalid-argument',
        `Invalid container name (${given}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
      );
    }
    ctx.containers.claimName(name, id);
    return name;
  }
  for (let attempt = 0; attempt < 8; attempt++) {
    const name = newName(attempt);
    if (ctx.containers.ownerOf(name) !== undefined) continue;
    ctx.containers.claimName(name, id);
    return name;
  }
  ctx.containers.claimName(id.slice(0, 12), id);
  return id.slice(0, 12);
}

function draftBody(
  ctx: EngineContext,
  id: string,
  { create, hostConfig }: { create: ContainerCreateConfig; hostConfig: HostConfig },
  { image, imageConfig }: { image: ImageRecord; imageConfig: ImageConfig },
): ContainerBody {
  const config = mergeConfig(id, create, imageConfig.config as RunConfig | undefined);
  const command = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  if (command.length === 0 || command[0] === undefined)
    throw new EngineError('invalid-argument', 'no command specified');
  checkWorkingDir(config.WorkingDir ?? '');
  checkEnv(create.Env ?? []);
  checkHealthcheck(create.Healthcheck, config.Labels);
  wantedPorts(hostConfig, []);
  for (const host of hostConfig.ExtraHosts ?? []) parseExtraHost(host, []);
  parseSecurity(hostConfig);
  if ('' in (hostConfig.Annotations ?? {})) {
    throw new EngineError(
      'invalid-argument',
      'invalid Annotations: the empty string is not permitted as an annotation key',
    );
  }
  const links = requestedLinks(ctx, hostConfig.Links ?? [], hostConfig.NetworkMode ?? '');
  return {
    created: formatNs(nowNs()),
    image: create.Image ?? '',
    imageID: image.id,
    chain: image.diffIDs,
    config,
    hostConfig,
    path: command[0],
    args: command.slice(1),
    mounts: [],
    state: initialState,
    networks: requestedNetworks(ctx, create, hostConfig.NetworkMode ?? 'bridge'),
    ...(links.length > 0 ? { links } : {}),
    ports: exposedPorts(config.ExposedPorts, hostConfig),
    driver: ctx.snapshots.name,
    restartCount: 0,
  };
}

function checkWorkingDir(path: string): void {
  if (path !== '' && !path.startsWith('/')) {
    throw new EngineError(
      'invalid-argument',
      `the working directory '${path}' is invalid, it needs to be an absolute path`,
    );
  }
}

function checkEnv(env: readonly string[]): void {
  const bad = env.find((item) => item === '' || item.startsWith('='));
  if (bad !== undefined) throw new EngineError('invalid-argument', `invalid environment variable: ${bad}`);
}

function exposedPorts(exposed: Readonly<Record<string, unknown>> | null | undefined, host: HostConfig): PortMap {
  const ports = [...new Set([...Object.keys(exposed ?? {}), ...Object.keys(host.PortBindings ?? {})])].sort();
  return Object.fromEntries(ports.map((port) => [port.includes('/') ? port : `${port}/tcp`, null]));
}

/** Fills fresh volumes with what the image has at their paths, as Docker does before the first start. */
async function populateVolumes(ctx: EngineContext, id: string, plan: MountPlan): Promise<void> {
  if (plan.copyUps.length === 0) return;
  const { root } = await ctx.snapshots.mount(id);
  try {
    for (const { volume, destination } of plan.copyUps) {
      await ctx.volumes.hold(volume, id);
      try {
        await ctx.volumes.populate(volume, await resolveInRoot(root, destination));
      } finally {
        await ctx.volumes.release(volume, id);
      }
    }
  } finally {
    await ctx.snapshots.unmount(id);
  }
}
