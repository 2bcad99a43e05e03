import { join } from 'node:path';
import { hostDevices, type OciDevice } from './host-devices.ts';
import { namespacesOf } from './namespaces.ts';
import { encodeRlimit } from './rlimits.ts';
import { defaultSeccomp, type SeccompProfile } from './seccomp.ts';
import { translateSeccomp } from './seccomp-profile.ts';
import {
  allDeviceRules,
  type DeviceRule,
  defaultDeviceRules,
  defaultMaskedPaths,
  defaultMounts,
  defaultNetworkSysctls,
  defaultReadonlyPaths,
} from './spec-defaults.ts';
import { type CgroupFacts, type OciResources, ociResources } from './spec-resources.ts';
import type { ContainerSpec, OciHooks, ProcessSpec, SpecMount, UserMapping } from './types.ts';

/** What the machine decides of a spec. */
export interface HostFacts extends CgroupFacts {
  /** `process.arch` and `uname -r`. */
  readonly arch: string;
  readonly kernelRelease: string;
}

/** OCI runtime-spec v1.1 config.md §process. */
export interface OciProcess {
  readonly terminal: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: {
    readonly bounding: readonly string[];
    readonly effective: readonly string[];
    readonly permitted: readonly string[];
  };
  readonly rlimits?: readonly { readonly type: string; readonly soft: unknown; readonly hard: unknown }[];
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdj: number;
}

/** OCI runtime-spec v1.1 config.md, as far as containers here use it. */
export interface OciSpec {
  readonly ociVersion: string;
  readonly process: OciProcess;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname: string;
  readonly mounts: readonly SpecMount[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly hooks?: OciHooks;
  readonly linux: {
    readonly namespaces: readonly { readonly type: string; readonly path?: string }[];
    readonly uidMappings?: readonly OciIDMapping[];
    readonly gidMappings?: readonly OciIDMapping[];
    readonly cgroupsPath: string;
    readonly resources: OciResources & { readonly devices: readonly DeviceRule[] };
    readonly devices: readonly OciDevice[];
    readonly sysctl: Readonly<Record<string, string>>;
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
    readonly rootfsPropagation?: string;
    readonly seccomp?: SeccompProfile;
  };
}

/** OCI runtime-spec v1.1 config-linux.md §user-namespace-mappings. */
interface OciIDMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

const initDestination = '/sbin/docker-init';

/** Cgroup of a container, from the root of each hierarchy. */
export function cgroupPath(spec: Pick<ContainerSpec, 'cgroupParent' | 'id'>): string {
  return join('/', spec.cgroupParent, spec.id);
}

/** The container as an OCI runtime is told of it, with Docker's defaults. */
export function buildSpec(spec: ContainerSpec, host: HostFacts): OciSpec {
  const seccomp = seccompOf(spec, host);
  const propagation = rootPropagation(spec.mounts);
  return {
    ociVersion: '1.0.2',
    process: buildProcess({ ...spec.process, args: commandOf(spec) }),
    root: { path: spec.rootfs, readonly: spec.readonlyRootfs },
    hostname: spec.namespaces?.uts === 'host' ? '' : spec.hostname,
    mounts: mountsOf(spec),
    annotations: spec.annotations,
    ...(spec.hooks && { hooks: spec.hooks }),
    linux: {
      namespaces: namespacesOf(spec, host.version),
      ...userMappings(spec),
      cgroupsPath: cgroupPath(spec),
      resources: {
        devices: spec.privileged ? allDeviceRules : [...defaultDeviceRules, ...(spec.deviceRules ?? [])],
        ...ociResources(spec.resources, host),
      },
      devices: devicesOf(spec),
      sysctl: { ...defaultNetworkSysctls(spec), ...spec.sysctls },
      maskedPaths: spec.maskedPaths ?? (spec.privileged ? [] : defaultMaskedPaths),
      readonlyPaths: spec.readonlyPaths ?? (spec.privileged ? [] : defaultReadonlyPaths),
      ...(propagation && { rootfsPropagation: propagation }),
      ...(seccomp && { seccomp }),
    },
  };
}

/** Used for a container's init and for what `exec` adds to it. */
export function buildProcess(process: ProcessSpec): OciProcess {
  return {
    terminal: process.terminal,
    ...(process.terminal && process.consoleSize && { consoleSize: process.consoleSize }),
    user: { uid: process.uid, gid: process.gid, additionalGids: process.additionalGids },
    args: process.args,
    env: process.env,
    cwd: process.cwd,
    capabilities: {
      bounding: process.capabilities,
      effective: process.capabilities,
      permitted: process.capabilities,
    },
    ...(process.rlimits && process.rlimits.length > 0 && { rlimits: process.rlimits.map(encodeRlimit) }),
    noNewPrivileges: process.noNewPrivileges,
    // conmon lowers its own to the minimum; without a value here the container would keep it.
    oomScoreAdj: process.oomScoreAdj ?? 0,
  };
}

function commandOf(spec: ContainerSpec): readonly string[] {
  return spec.initPath === undefined ? spec.process.args : [initDestination, '--', ...spec.process.args];
}

function userMappings({
  userMappings: mappings,
}: ContainerSpec): Pick<OciSpec['linux'], 'uidMappings' | 'gidMappings'> {
  const encode = (list: readonly UserMapping[]) =>
    list.map(({ container, host, sizeIDs }) => ({ containerID: container, hostID: host, size: sizeIDs }));
  return mappings ? { uidMappings: encode(mappings.uids), gidMappings: encode(mappings.gids) } : {};
}

/** Of two at the same path the one that was asked for counts. */
function devicesOf(spec: ContainerSpec): OciDevice[] {
  const byPath = new Map<string, OciDevice>();
  for (const device of [...(spec.privileged ? hostDevices() : []), ...(spec.devices ?? [])]) {
    byPath.set(device.path, device);
  }
  return [...byPath.values()];
}

/** A mount of the user's takes the place of the default at its destination; one on /dev that of all below it. */
function mountsOf(spec: ContainerSpec): SpecMount[] {
  const destinations = new Set(spec.mounts.map((mount) => mount.destination));
  const replaced = ({ destination }: SpecMount) =>
    destinations.has(destination) || (destinations.has('/dev') && destination.startsWith('/dev/'));
  const init: SpecMount[] =
    spec.initPath === undefined
      ? []
      : [{ destination: initDestination, type: 'bind', source: spec.initPath, options: ['bind', 'ro'] }];
  const depth = (mount: SpecMount) => mount.destination.split('/').filter(Boolean).length;
  return [
    ...defaultMounts(spec).filter((mount) => !replaced(mount)),
    ...init,
    ...spec.mounts.toSorted((a, b) => depth(a) - depth(b)),
  ];
}

/** A bind that is to propagate needs a root that does. */
function rootPropagation(mounts: readonly SpecMount[]): string | undefined {
  const options = new Set(mounts.flatMap((mount) => mount.options));
  if (options.has('shared') || options.has('rshared')) return 'shared';
  if (options.has('slave') || options.has('rslave')) return 'rslave';
  return undefined;
}

function seccompOf(spec: ContainerSpec, host: HostFacts): SeccompProfile | undefined {
  const facts = { capabilities: spec.process.capabilities, ...host };
  if (spec.seccomp === 'unconfined') return undefined;
  if (spec.seccomp !== undefined) return translateSeccomp(spec.seccomp.profile, facts);
  return spec.privileged ? undefined : defaultSeccomp(facts);
}
