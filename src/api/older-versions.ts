import type { BuildCacheItem, ContainerInspect, DiskUsage, ImageInspect, ImageSummary, SystemInfo } from '#api-types';
import type { Call } from './call.ts';

/**
 * What answers looked like before, version by version, where dockerd 28 still keeps it up: compared with one that was asked in every version from 1.24 on.
 */

/** Before 1.51 `Containers` was not computed, before 1.44 there was `VirtualSize`, before 1.43 nothing was named `<none>`. */
export function imageSummariesFor(call: Call, images: readonly ImageSummary[]): readonly object[] {
  // Asked once: there may be ten thousand images.
  const [before143, before144, before147, before148, before151] = ['1.43', '1.44', '1.47', '1.48', '1.51'].map(
    (version) => call.before(version),
  );
  return images.map((image) => {
    const { Descriptor, Manifests, ...rest } = image;
    const summary: DraftSummary = rest;
    if (before151) summary.Containers = -1;
    if (!before148 && Descriptor !== undefined) summary.Descriptor = Descriptor;
    if (!before147 && Manifests !== undefined) summary.Manifests = Manifests;
    if (before143) nameNothing(summary);
    if (before144) summary.VirtualSize = image.Size;
    return summary;
  });
}

type DraftSummary = { -readonly [Key in keyof ImageSummary]: ImageSummary[Key] } & { VirtualSize?: number };

function nameNothing(summary: DraftSummary): void {
  const [tags, digests] = [summary.RepoTags ?? [], summary.RepoDigests ?? []];
  const untagged = tags.length === 0 && digests.length === 0;
  summary.RepoTags = untagged ? ['<none>:<none>'] : orNull(tags);
  summary.RepoDigests = untagged ? ['<none>@<none>'] : orNull(digests);
}

function orNull(names: readonly string[]): readonly string[] | null {
  return names.length === 0 ? null : names;
}

const emptyContainerConfig = {
  Hostname: '',
  Domainname: '',
  User: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: null,
  Cmd: null,
  Image: '',
  Volumes: null,
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
} as const;

/** Before 1.50 an image's config had a container's fields, before 1.45 there was the config of its build container, before 1.44 `VirtualSize`. */
export function imageInspectFor(call: Call, image: ImageInspect): object {
  const { Hostname, Domainname, AttachStdin, AttachStdout, AttachStderr, Tty, OpenStdin, StdinOnce, Image } =
    emptyContainerConfig;
  const legacy = { Hostname, Domainname, AttachStdin, AttachStdout, AttachStderr, Tty, OpenStdin, StdinOnce, Image };
  const { Descriptor, Manifests, ...rest } = image;
  return {
    ...rest,
    ...(call.before('1.48') || Descriptor === undefined ? {} : { Descriptor }),
    ...(call.before('1.48') || Manifests === undefined ? {} : { Manifests }),
    ...(call.before('1.50') && image.Config !== null ? { Config: { ...legacy, ...image.Config } } : {}),
    ...(call.before('1.45') ? { ContainerConfig: emptyContainerConfig } : {}),
    ...(call.before('1.44') ? { VirtualSize: image.Size, Created: image.Created ?? '0001-01-01T00:00:00Z' } : {}),
  };
}

/** Before 1.45 a container's ID and host name stood among its aliases on networks of users. */
export function containerInspectFor(call: Call, container: ContainerInspect): object {
  if (!call.before('1.45')) return container;
  const { Hostname } = container.Config;
  const own = [container.Id.slice(0, 12), ...(Hostname ? [Hostname] : [])];
  const networks = Object.entries(container.NetworkSettings.Networks).map(([name, settings]) => {
    const isPredefined = ['bridge', 'host', 'none'].includes(name);
    return [
      name,
      isPredefined ? settings : { ...settings, Aliases: [...new Set([...(settings.Aliases ?? []), ...own])] },
    ];
  });
  return { ...container, NetworkSettings: { ...container.NetworkSettings, Networks: Object.fromEntries(networks) } };
}

export function systemInfoFor(call: Call, info: SystemInfo): object {
  const { FirewallBackend, Containerd, DiscoveredDevices, ...rest } = info;
  return {
    ...rest,
    ...(call.before('1.50') ? { BridgeNfIptables: false, BridgeNfIp6tables: false } : {}),
    ...(call.before('1.49') || FirewallBackend === undefined ? {} : { FirewallBackend }),
    ...(call.before('1.50') || DiscoveredDevices === undefined ? {} : { DiscoveredDevices }),
    ...(call.before('1.49')
      ? { RuncCommit: expected(info.RuncCommit), ContainerdCommit: expected(info.ContainerdCommit) }
      : {}),
    ...(call.before('1.47') && info.RegistryConfig
      ? {
          RegistryConfig: {
            ...info.RegistryConfig,
            AllowNondistributableArtifactsCIDRs: null,
            AllowNondistributableArtifactsHostnames: null,
          },
        }
      : {}),
    ...(call.before('1.46') || Containerd === undefined ? {} : { Containerd }),
    ...(call.before('1.44') ? { Runtimes: withoutStatus(info.Runtimes) } : {}),
    ...(call.before('1.42') ? { KernelMemory: true } : {}),
    ...(call.before('1.25') ? { SecurityOptions: info.SecurityOptions.map(plainSecurityOption) } : {}),
  };
}

function withoutStatus(runtimes: SystemInfo['Runtimes']): SystemInfo['Runtimes'] {
  const entries = Object.entries(runtimes).map(([name, { status: _status, ...runtime }]) => [name, runtime] as const);
  return Object.fromEntries(entries);
}

function expected(commit: { readonly ID: string }): object {
  return commit.ID === '' ? commit : { ...commit, Expected: commit.ID };
}

/** `name=seccomp,profile=builtin` was `seccomp`. */
function plainSecurityOption(option: string): string {
  return /(?:^|,)name=([^,]*)/.exec(option)?.[1] ?? option;
}

/** Before 1.44 images had `VirtualSize`, before 1.42 the build cache had a total. */
export function diskUsageFor(call: Call, usage: DiskUsage): object {
  const cache = usage.BuildCache?.map((item) => buildCacheItem(item, call.before('1.42'))) ?? null;
  return {
    ...usage,
    Images: usage.Images?.map((image) => usedImage(call, image)) ?? null,
    BuildCache: cache,
    ...(call.before('1.42') ? { BuilderSize: privateCacheBytes(usage.BuildCache ?? []) } : {}),
  };
}

/** Here, unlike in a list, an image without names has null for them. */
function usedImage(call: Call, image: ImageSummary): object {
  const names = { RepoDigests: orNull(image.RepoDigests ?? []), RepoTags: orNull(image.RepoTags ?? []) };
  return { ...image, ...names, ...(call.before('1.44') ? { VirtualSize: image.Size } : {}) };
}

function privateCacheBytes(items: readonly BuildCacheItem[]): number {
  return items.reduce((sum, item) => sum + (item.Shared ? 0 : item.Size), 0);
}

/** The wire's name of `Parents` has a space before it, and the docker CLI reads it so; before 1.42 it was not sent. */
function buildCacheItem({ ID, Parents, ...rest }: BuildCacheItem, withoutParents: boolean): object {
  return withoutParents || Parents === undefined || Parents.length === 0
    ? { ID, ...rest }
    : { ID, ' Parents': Parents, ...rest };
}
