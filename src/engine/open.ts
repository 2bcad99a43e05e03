import { createHash } from 'node:crypto';
import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { ContextMemory, FileLists, ImagesInUse } from '#builder';
import { cleanup, KeyedLock } from '#concurrency';
import { openContentStore } from '#content';
import { createLayerIngester } from '#diff';
import type { MakeRoom } from '#files';
import { log } from '#log';
import { lockDataRoot, type Metadata, openMetadata } from '#metadata';
import { type NetworkSpec, type Networks, openNetworks } from '#network';
import { hostPlatform } from '#oci';
import { createRegistryClient } from '#registry';
import { openRuntime, type Runtime } from '#runtime';
import { chooseDriver, layerIndexPath } from '#snapshots';
import { sys } from '#sys';
import { openVolumes } from '#volume';
import { BuildCacheKeeper } from './build-cache-keeper.ts';
import { CacheMounts } from './cache-mounts/index.ts';
import { cacheRules } from './cache-rules.ts';
import { adoptContainers } from './containers/adopt.ts';
import type { Container } from './containers/container.ts';
import { openDefaultSeccomp } from './containers/default-seccomp.ts';
import { releaseStrayMounts } from './containers/held-mounts.ts';
import { imageMountKeys } from './containers/image-mounts.ts';
import { completeLogConfig } from './containers/log-config.ts';
import { stopForwards } from './containers/log-forward/index.ts';
import { ContainerRegistry } from './containers/registry.ts';
import { releaseStrayShm } from './containers/shm.ts';
import { shutDownContainers } from './containers/shutdown.ts';
import { startAgain } from './containers/start.ts';
import { loadContainers } from './containers/store.ts';
import { volumesInUse } from './containers/volume-holds.ts';
import { restoreWritableLayers } from './containers/writable-layer.ts';
import type { EngineContext } from './context.ts';
import { engineOver, type ReloadableEngine } from './engine.ts';
import { EventLog } from './events.ts';
import { releaseUnretained } from './images/retention.ts';
import { releaseStrayLent } from './lent-files.ts';
import { networkSpecs } from './networks/store.ts';
import type { EngineOptions } from './options.ts';
import { openRemap } from './remap/index.ts';
import { recallDamage, rememberDamage } from './system/damage.ts';
import { FileSharing } from './system/file-sharing.ts';
import { defaultTransfers, registryOptions } from './system/reload.ts';
import { Scrubber } from './system/scrub.ts';
import { removeStrayFolders } from './system/stray-folders.ts';
import { asideVolumes, Ballast, TrashKeeper, TrashPolicy } from './trash/index.ts';

/**
 * Opens an engine over a data root, made when missing: lock → stores → driver by probing → runtime → network → what an earlier engine left.
 * Disposing stops the containers (unless `liveRestore`) and lets go of everything. Sets no signal handlers, umask or working directory.
 *
 * @throws `conflict` naming the owner when another engine has the data root; `failed-precondition` when driver or runtime cannot work here.
 */
export async function openEngine(options: EngineOptions): Promise<ReloadableEngine> {
  completeLogConfig(undefined, options.logDefaults);
  await mkdir(options.root, { recursive: true, mode: 0o710 });
  const root = await realpath(options.root);
  const held = new AsyncDisposableStack();
  try {
    const execRoot = options.execRoot ?? join('/run/wherry', instanceOf(root));
    held.use(await lockDataRoot(root, { sockets: options.sockets ?? [], execRoot }));
    const ctx = await openContext({ root, execRoot }, options, held);
    held.defer(() => ctx.registry[Symbol.asyncDispose]());
    held.defer(() => closeContainers(ctx));
    await takeOver(ctx);
    held.use(new Scrubber(ctx.metadata, options.scrub ?? {}, () => rememberDamage(ctx)));
    await releaseUnretained(ctx);
    held.use(ctx.cacheKeeper.start(ctx));
    held.use(ctx.sharing.start(ctx));
    return engineOver(ctx, await engineID(ctx.metadata), held.move());
  } catch (error) {
    await held.disposeAsync();
    throw error;
  }
}

/** Of the whole file system. */
function diskBytes(path: string): number {
  const { blocks, blockSize } = sys.statfs(path);
  return blocks * blockSize;
}

/** Tells this data root's links, rules and run root from those of others on the machine. */
function instanceOf(root: string): string {
  return createHash('sha256').update(root).digest('hex').slice(0, 8);
}

async function openContext(
  { root, execRoot }: { root: string; execRoot: string },
  options: EngineOptions,
  held: AsyncDisposableStack,
): Promise<EngineContext> {
  const instance = instanceOf(root);
  const seccomp = await openDefaultSeccomp(options.seccompProfile);
  await mkdir(execRoot, { recursive: true, mode: 0o711 });
  const room: { make: MakeRoom } = { make: async () => false };
  const makeRoom = () => room.make();
  const ballast = await Ballast.open(root);
  const content = held.use(await openContentStore({ root: join(root, 'content'), makeRoom }));
  const chosen = await chooseDriver({
    root,
    runRoot: execRoot,
    contentPath: (diffID) => content.path(diffID),
    ...(options.storageDriver ? { requested: options.storageDriver } : {}),
    ...(options.storageOptions ? { storageOptions: options.storageOptions } : {}),
  });
  const snapshots = held.use(chosen.driver);
  log.info('storage driver chosen', { driver: snapshots.name, reason: chosen.reason });
  const remap = held.use(
    await openRemap(options.usernsRemap, {
      root,
      execRoot,
      driver: snapshots.name,
    }),
  );
  const policy = new TrashPolicy(root, options.trash);
  const keeps = () => policy.keeps();
  const metadata = held.use(
    await openMetadata({ root, content, driver: snapshots, keeps, spare: () => ballast.release() }),
  );
  const volumes = await openVolumes({ root: join(root, 'volumes'), table: metadata.volumes });
  const networkOwner = { instance, engineID: await engineID(metadata), runRoot: execRoot };
  const [runtime, networks] = await runtimeAndNetworks(
    metadata,
    openRuntime({
      runRoot: execRoot,
      ...(options.runtimePath ? { runtimePath: options.runtimePath } : {}),
      ...(options.runtimeArgs ? { runtimeArgs: options.runtimeArgs } : {}),
      ...(options.runtimes ? { runtimes: options.runtimes } : {}),
      ...(options.runtimeName ? { runtimeName: options.runtimeName } : {}),
    }),
    startNetworks(networkOwner, options, networkSpecs(metadata)),
  );
  held.use(networks);
  held.use(runtime);
  log.info('runtime chosen', { runtime: runtime.info.path, reason: runtime.info.reason });
  const layers = held.use(
    createLayerIngester({
      content,
      makeRoom,
      ...(options.layerReserveBytes === undefined ? {} : { limits: { reserveBytes: options.layerReserveBytes } }),
      ...(snapshots.name === 'erofs' ? { index: { path: (diffID) => layerIndexPath(root, diffID) } } : {}),
    }),
  );
  const stores = { root, content, metadata, snapshots, volumes, ballast };
  const trash = held.use(new TrashKeeper(stores, policy));
  room.make = () => trash.makeRoom();
  return {
    options,
    root,
    execRoot,
    instance,
    content,
    metadata,
    layers,
    snapshots,
    driverReason: chosen.reason,
    sizeLimitBytes: chosen.sizeLimitBytes,
    remap,
    registry: createRegistryClient(registryOptions(options)),
    runtime,
    seccomp,
    networks,
    volumes,
    cacheKeeper: new BuildCacheKeeper(
      cacheRules(options.buildCache ?? {}, diskBytes(root)),
      options.buildCache?.delayMs,
    ),
    trash,
    contextMemory: new ContextMemory(join(root, 'contexts')),
    fileLists: new FileLists(join(root, 'build-files')),
    cacheMounts: await CacheMounts.open(join(root, 'cache-mounts'), metadata.buildCache),
    platform: options.platform ?? hostPlatform(),
    ...(options.maxDownloadAttempts ? { maxDownloadAttempts: options.maxDownloadAttempts } : {}),
    maxConcurrentDownloads: options.maxConcurrentDownloads ?? defaultTransfers.downloads,
    maxConcurrentUploads: options.maxConcurrentUploads ?? defaultTransfers.uploads,
    events: new EventLog(),
    containers: new ContainerRegistry(),
    buildSteps: new Set(),
    buildImages: new ImagesInUse(),
    buildFolders: new Set(),
    locks: new KeyedLock(),
    sharing: FileSharing.open(root, options.dedup),
    startedAt: new Date(),
  };
}

async function startNetworks(
  own: { readonly instance: string; readonly engineID: string; readonly runRoot: string },
  options: EngineOptions,
  known: readonly NetworkSpec[],
) {
  const { bridge, bip, addressPools, mtu, firewall, fixedSubnet6, ...settings } = options.network ?? {};
  const networks = await openNetworks({
    ...own,
    firewall: firewall ?? true,
    firewall6: settings.firewall6 ?? true,
    ipv6: settings.ipv6 ?? false,
    ...(fixedSubnet6 ? { fixedSubnet6 } : {}),
    ...(settings.fixedSubnet ? { fixedSubnet: settings.fixedSubnet } : {}),
    ...(settings.bip6 ? { bridgeAddress6: settings.bip6 } : {}),
    ...(settings.gateway ? { gateway: settings.gateway } : {}),
    ...(settings.gateway6 ? { gateway6: settings.gateway6 } : {}),
    ipForward: settings.ipForward ?? true,
    carriesPorts: settings.carriesPorts ?? true,
    directRouting: settings.directRouting ?? false,
    ...(bridge ? { bridgeName: bridge } : {}),
    ...(bip ? { bridgeAddress: bip } : {}),
    ...(addressPools ? { addressPools } : {}),
    ...(mtu ? { mtu } : {}),
    icc: settings.icc ?? true,
    masquerade: settings.masquerade ?? true,
    defaultBind: settings.defaultBind ?? '',
    defaultBridgeBind: settings.defaultBridgeBind ?? settings.defaultBind ?? '',
  });
  await networks.start(known);
  return networks;
}

/** Both are opened at once. A root without containers keeps no bridge and no rules of a start that failed. */
async function runtimeAndNetworks(
  { containers }: Pick<Metadata, 'containers'>,
  opening: Promise<Runtime>,
  starting: Promise<Networks>,
): Promise<[Runtime, Networks]> {
  const [runtime, networks] = await Promise.allSettled([opening, starting]);
  if (runtime.status === 'rejected' && networks.status === 'fulfilled') {
    if (containers.list().length === 0) await cleanup('networks', () => networks.value.teardown());
    await networks.value[Symbol.asyncDispose]();
  }
  return [await opening, await starting];
}

/**
 * Finds out what an earlier engine left: containers that live on are adopted, the rest of its traces removed. Processes go before the mounts
 * they hold, and mounts before the files under them.
 */
async function takeOver(ctx: EngineContext): Promise<void> {
  const containers = loadContainers(ctx);
  const running = runningIDs(containers);
  const viewKeys = (container: Container) => (running.has(container.id) ? imageMountKeys(container) : []);
  await ctx.runtime.recover(running);
  const { journal } = ctx.metadata;
  await ctx.snapshots.recover({
    snapshots: new Set([
      ...containers.flatMap((container) => [container.id, ...viewKeys(container)]),
      ...journal.containers(),
    ]),
    mounted: new Set([...running, ...containers.flatMap(viewKeys)]),
    layers: new Set(ctx.metadata.layers.list().map((layer) => layer.diffID)),
  });
  await ctx.metadata.recover();
  recallDamage(ctx);
  await restoreWritableLayers(ctx, containers);
  await ctx.volumes.recover(asideVolumes(ctx));
  await ctx.cacheMounts.recover();
  await removeStrayFolders(ctx);
  await adoptContainers(ctx, containers);
  await releaseStrayLent(ctx);
  await releaseStrayShm(ctx, runningIDs(ctx.containers.all()));
  await ctx.volumes.adopt(volumesInUse(ctx.containers.all()));
  await releaseStrayMounts(ctx, runningIDs(ctx.containers.all()));
  await ctx.networks.recover(runningIDs(ctx.containers.all()));
  if (ctx.options.autoRestart ?? true) await startAgain(ctx);
}

function runningIDs(containers: Iterable<Container>): Set<string> {
  return new Set([...containers].filter((container) => container.isUp).map((container) => container.id));
}

/** Stops what runs unless it is to live on; the bridge goes with the last container. */
async function closeContainers(ctx: EngineContext): Promise<void> {
  for (const container of ctx.containers.all()) {
    container.cancelRestart();
    container.endHealthWatch();
  }
  if (!ctx.options.liveRestore) await shutDownContainers(ctx);
  await stopForwards(ctx);
  if (runningIDs(ctx.containers.all()).size === 0) await ctx.networks.teardown();
}

async function engineID(metadata: Metadata): Promise<string> {
  const known = metadata.setting('engine-id');
  if (known !== undefined) return known;
  const id = crypto.randomUUID();
  await metadata.setSetting('engine-id', id);
  return id;
}
