import { hostname } from 'node:os';
import { createRegistryClient, type RegistryOptions } from '#registry';
import type { EngineContext } from '../context.ts';
import type { EngineOptions } from '../options.ts';

/** What may change while an engine runs; the rest needs a restart. */
const reloadable = [
  'debug',
  'labels',
  'liveRestore',
  'registry',
  'maxDownloadAttempts',
  'maxDownloadConnections',
  'maxConcurrentDownloads',
  'maxConcurrentUploads',
  'pushCompression',
  'shutdownTimeoutSeconds',
] as const satisfies readonly (keyof EngineOptions)[];

export type ReloadableOptions = Pick<EngineOptions, (typeof reloadable)[number]>;

type Live = { -readonly [Key in keyof EngineContext]: EngineContext[Key] };

export const defaultTransfers = { downloads: 3, uploads: 5, attempts: 5 };
const defaultShmBytes = 64 << 20;

/** Takes new settings over for all that begins from here on; what is under way keeps those it began with. Tells it as dockerd does, by an event. */
export function reloadEngine(ctx: EngineContext, engineID: string, given: ReloadableOptions): void {
  const live: Live = ctx;
  const taken = reloadable.flatMap((key) => (given[key] === undefined ? [] : [[key, given[key]] as const]));
  live.options = { ...ctx.options, ...Object.fromEntries(taken) };
  // Pulls and pushes under way keep the client they have, and with it their limits.
  live.registry = createRegistryClient(registryOptions(live.options));
  live.maxConcurrentDownloads = live.options.maxConcurrentDownloads ?? defaultTransfers.downloads;
  live.maxConcurrentUploads = live.options.maxConcurrentUploads ?? defaultTransfers.uploads;
  if (live.options.maxDownloadAttempts) live.maxDownloadAttempts = live.options.maxDownloadAttempts;
  ctx.events.emit({ type: 'daemon', action: 'reload', id: engineID, attributes: reloadAttributes(ctx) });
}

export function registryOptions({ registry = {}, maxDownloadAttempts }: EngineOptions): RegistryOptions {
  return { ...registry, ...(maxDownloadAttempts ? { retry: { attempts: maxDownloadAttempts } } : {}) };
}

function reloadAttributes(ctx: EngineContext): Record<string, string> {
  const { options, runtime } = ctx;
  const defaults = options.containerDefaults;
  return {
    debug: `${options.debug ?? false}`,
    'default-cgroupns-mode': defaults?.cgroupnsMode ?? 'host',
    'default-ipc-mode': defaults?.ipcMode ?? 'private',
    'default-runtime': runtime.info.shownName,
    'default-shm-size': `${defaults?.shmSizeBytes ?? defaultShmBytes}`,
    features: 'map[]',
    'insecure-registries': JSON.stringify(options.registry?.insecure ?? []),
    labels: JSON.stringify(options.labels ?? []),
    'live-restore': `${options.liveRestore ?? false}`,
    'max-concurrent-downloads': `${ctx.maxConcurrentDownloads}`,
    'max-concurrent-uploads': `${ctx.maxConcurrentUploads}`,
    'max-download-attempts': `${options.maxDownloadAttempts ?? defaultTransfers.attempts}`,
    name: hostname(),
    'registry-mirrors': JSON.stringify(options.registry?.mirrors ?? []),
    runtimes: Object.entries(options.runtimes ?? {})
      .map(([name, { path }]) => `${name}:${path}`)
      .join(' '),
    'shutdown-timeout': `${options.shutdownTimeoutSeconds ?? 15}`,
  };
}
