import type { Engine } from '#api-types';
import { withRoom } from '#files';
import { parseReference, withDefaultTag } from '#reference';
import { fromBytes } from '#streams';
import { pruneBuildCache } from './build-cache.ts';
import { buildReport } from './build-reports.ts';
import { EngineBuildKit } from './buildkit.ts';
import { build } from './builds.ts';
import { archiveStat, getArchive, putArchive } from './containers/archive.ts';
import { attachContainer, resizeContainer } from './containers/attach.ts';
import { containerChanges, containerTop, renameContainer } from './containers/changes.ts';
import { createContainer } from './containers/create.ts';
import { ExecTable } from './containers/exec.ts';
import { exportContainer } from './containers/export.ts';
import { inspectContainer } from './containers/inspect.ts';
import { listContainers } from './containers/list.ts';
import { containerLogs } from './containers/logs.ts';
import { setPaused } from './containers/pause.ts';
import { pruneContainers, removeContainer } from './containers/remove.ts';
import { restartContainer, startContainer } from './containers/start.ts';
import { containerStats } from './containers/stats.ts';
import { debugStep } from './containers/step-debug.ts';
import { killContainer, stopContainer } from './containers/stop.ts';
import { updateContainer } from './containers/update.ts';
import { waitContainer } from './containers/wait.ts';
import type { EngineContext } from './context.ts';
import { imageAttestations } from './images/attestations.ts';
import { blameImage } from './images/blame.ts';
import { commitContainer } from './images/commit.ts';
import { compareImages } from './images/compare.ts';
import { distributionInspect, searchImages } from './images/distribution.ts';
import { imageFile, imageFiles } from './images/files.ts';
import { imageHistory, inspectImage } from './images/inspect.ts';
import { listImagesWithManifests } from './images/list.ts';
import { pruneImages, removeImage } from './images/remove.ts';
import { tagImage } from './images/tag.ts';
import { importRootfs, layerDigests, load, pull, push, save } from './images/transfers.ts';
import { connectContainer, disconnectContainer } from './networks/connect.ts';
import { createNetwork } from './networks/create.ts';
import { inspectNetwork, listNetworks } from './networks/list.ts';
import { pruneNetworks, removeNetwork } from './networks/remove.ts';
import { diskAccount } from './system/account.ts';
import { diskUsage } from './system/df.ts';
import { fileUsage } from './system/file-usage.ts';
import { systemInfo, systemVersion } from './system/info.ts';
import { type ReloadableOptions, reloadEngine } from './system/reload.ts';
import { repairStore } from './system/repair.ts';
import { verifyEngine } from './system/verify.ts';
import { emptyTrash, listUndo, undo } from './trash/index.ts';
import { createVolume, inspectVolume, listVolumes, pruneVolumes, removeVolume } from './volumes.ts';

/** An engine in this process. */
export interface ReloadableEngine extends Engine {
  /** Takes new settings over without a restart: for what begins from here on. */
  reload(options: ReloadableOptions): void;
  /** Whether a build is under way, also one whose work is a container's at the moment. */
  isBuilding(): boolean;
}

/** The engine's parts behind the one interface. `held` is let go of when the engine is disposed. */
export function engineOver(ctx: EngineContext, engineID: string, held: AsyncDisposable): ReloadableEngine {
  const execs = new ExecTable(ctx);
  const buildKit = new EngineBuildKit(ctx, engineID);
  const roomy = <T>(work: () => Promise<T>) => withRoom(() => ctx.trash.makeRoom(), work);
  return {
    images: {
      list: (options) => listImagesWithManifests(ctx, options),
      inspect: (name, options) => inspectImage(ctx, name, options),
      buildReport: (name) => buildReport(ctx, name),
      attestations: (name, options) => imageAttestations(ctx, name, options),
      history: (name, options) => imageHistory(ctx, name, options),
      files: (name, options) => imageFiles(ctx, name, options),
      file: (name, path, options) => imageFile(ctx, name, path, options),
      blame: (name, options) => blameImage(ctx, name, options),
      compare: (before, after, options) => compareImages(ctx, before, after, options),
      pull: (reference, options) => pull(ctx, reference, options),
      push: (reference, options) => push(ctx, reference, options),
      import: (source, options) => importRootfs(ctx, source, options),
      load: (archive, options) => load(ctx, archive, options),
      save: (names, options) => save(ctx, names, options),
      digests: (names) => layerDigests(ctx, names),
      tag: (source, repo, tag) => tagImage(ctx, source, repo, tag),
      remove: (name, options) => removeImage(ctx, name, options),
      prune: (options) => pruneImages(ctx, options),
      search: (term, options) => searchImages(ctx, term, options),
      distribution: (name, options) => distributionInspect(ctx, withDefaultTag(parseReference(name)), options),
      commit: (container, options) => commitContainer(ctx, container, options),
    },
    containers: {
      list: (options) => listContainers(ctx, options),
      create: (config, options) => roomy(() => createContainer(ctx, config, options)),
      inspect: (id, options) => inspectContainer(ctx, id, options),
      start: (id) => startContainer(ctx, id),
      stop: (id, options) => stopContainer(ctx, id, options),
      restart: (id, options) => restartContainer(ctx, id, options),
      kill: (id, options) => killContainer(ctx, id, options),
      pause: (id) => setPaused(ctx, id, true),
      unpause: (id) => setPaused(ctx, id, false),
      rename: (id, name) => renameContainer(ctx, id, name),
      update: (id, config) => updateContainer(ctx, id, config),
      wait: (id, options) => waitContainer(ctx, id, options),
      remove: (id, options) => removeContainer(ctx, id, options),
      prune: (options) => pruneContainers(ctx, options),
      attach: (id, options) => attachContainer(ctx, id, options),
      resize: (id, size) => resizeContainer(ctx, id, size),
      logs: (id, options) => containerLogs(ctx, id, options),
      stats: (id, options) => containerStats(ctx, id, options),
      top: (id, psArgs) => containerTop(ctx, id, psArgs),
      changes: (id) => containerChanges(ctx, id),
      export: async (id, options) => exportContainer(ctx, id, options),
      archiveStat: (id, path) => archiveStat(ctx, id, path),
      getArchive: (id, path, options) => getArchive(ctx, id, path, options),
      putArchive: (id, path, archive, options) => putArchive(ctx, id, path, archive, options),
    },
    execs: {
      create: async (id, config) => execs.create(id, config),
      start: (id, options) => execs.start(id, options),
      resize: (id, size) => execs.resize(id, size),
      inspect: async (id) => execs.inspect(id),
    },
    networks: {
      list: async (options) => listNetworks(ctx, options),
      inspect: async (id, options) => inspectNetwork(ctx, id, options),
      create: (config) => roomy(() => createNetwork(ctx, config)),
      remove: (id) => removeNetwork(ctx, id),
      connect: (id, config) => connectContainer(ctx, id, config),
      disconnect: (id, config) => disconnectContainer(ctx, id, config),
      prune: (options) => pruneNetworks(ctx, options),
    },
    volumes: {
      list: async (options) => listVolumes(ctx, options),
      create: (config) => roomy(() => createVolume(ctx, config)),
      inspect: async (name) => inspectVolume(ctx, name),
      remove: (name, options) => removeVolume(ctx, name, options),
      prune: (options) => pruneVolumes(ctx, options),
    },
    system: {
      ping: async () => {},
      info: async () => systemInfo(ctx, engineID),
      version: async () => systemVersion(ctx),
      df: (options) => diskUsage(ctx, options),
      account: () => diskAccount(ctx),
      fileUsage: (options) => fileUsage(ctx, options),
      auth: async (config) => {
        const { status, identityToken } = await ctx.registry.login(config);
        return { IdentityToken: identityToken, Status: status };
      },
      events: (options) => ctx.events.follow(options),
      verify: (options) => verifyEngine(ctx, options),
      repair: (options) => repairStore(ctx, options),
    },
    trash: {
      list: () => listUndo(ctx),
      undo: (options) => undo(ctx, options),
      empty: () => emptyTrash(ctx),
    },
    buildKit,
    build: (context, options) => build(ctx, { context }, options),
    buildListed: (context, options) =>
      build(ctx, { context: fromBytes(), listed: { context, memory: ctx.contextMemory } }, options),
    debugBuild: (id, options) => debugStep(ctx, id, options),
    pruneBuildCache: (options) => pruneBuildCache(ctx, options),
    reload: (options) => reloadEngine(ctx, engineID, options),
    isBuilding: () => ctx.buildFolders.size > 0,
    async [Symbol.asyncDispose]() {
      buildKit[Symbol.dispose]();
      await held[Symbol.asyncDispose]();
    },
  };
}
