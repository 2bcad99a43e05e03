import type { ContainerConfig, HostConfig } from '#api-types';
import { EngineError, kindOf, messageOf } from '#errdefs';
import type { NamespaceChoices, UserMappings } from '#runtime';
import type { EngineContext } from '../context.ts';
import { idsOf, remapOf } from '../remap/index.ts';
import type { Container } from './container.ts';
import { holdShm, shmFolder } from './shm.ts';

const donorPrefix = 'container:';

const invalid = (message: string) => new EngineError('invalid-argument', message);

/** @throws `invalid-argument` in Docker's words for a mode that is none, and for a name given to what shares the host's. */
export function checkNamespaceModes(
  host: Pick<HostConfig, 'IpcMode' | 'PidMode' | 'UTSMode' | 'CgroupnsMode'>,
  config: Pick<ContainerConfig, 'Hostname'>,
): void {
  const { IpcMode: ipc = '', PidMode: pid = '', UTSMode: uts = '', CgroupnsMode: cgroup = '' } = host;
  if (uts === 'host' && config.Hostname) throw invalid('conflicting options: hostname and the UTS mode');
  if (!(['', 'none', 'private', 'shareable', 'host'].includes(ipc) || ipc.startsWith(donorPrefix))) {
    throw invalid(`invalid IPC mode: ${ipc}`);
  }
  if (!(pid === '' || pid === 'host' || (pid.startsWith(donorPrefix) && pid !== donorPrefix))) {
    throw invalid(`invalid PID mode: ${pid}`);
  }
  if (uts !== '' && uts !== 'host') throw invalid(`invalid UTS mode: ${uts}`);
  if (!['', 'private', 'host'].includes(cgroup)) throw invalid(`invalid cgroup namespace mode: ${cgroup}`);
}

/** `container:name` with the ID in place of the name: who is meant does not change with names. @throws `invalid-argument`. */
export function donorByID(ctx: Pick<EngineContext, 'containers'>, mode: string): string {
  const reference = donorOf(mode);
  if (!reference) return mode;
  try {
    return donorPrefix + ctx.containers.resolve(reference).id;
  } catch (error) {
    throw new EngineError('invalid-argument', messageOf(error), { cause: error });
  }
}

const donorOf = (mode: string | undefined) =>
  mode?.startsWith(donorPrefix) ? mode.slice(donorPrefix.length) : undefined;

/** The namespaces and the /dev/shm of a container that starts. @throws in Docker's words when the container to join is not there. */
export function enterNamespaces(
  ctx: EngineContext,
  container: Container,
  network: { readonly namespace: string },
): { namespaces: NamespaceChoices; shm?: string; userMappings?: UserMappings } {
  const { body } = container;
  const { IpcMode: ipc = '', PidMode: pid = '', UTSMode: uts = '', CgroupnsMode: cgroup = '' } = body.hostConfig;
  return {
    ...enterShm(ctx, container),
    ...userMappings(ctx, container),
    namespaces: {
      ...ownNamespace(ctx, container, network),
      ipc: donorOf(ipc) === undefined ? hostOrPrivate(ipc) : join(ipcDonor(ctx, ipc), 'ipc'),
      pid: donorOf(pid) === undefined ? hostOrPrivate(pid) : join(pidDonor(ctx, pid), 'pid'),
      uts: hostOrPrivate(uts),
      ...(cgroup === '' ? {} : { cgroup: hostOrPrivate(cgroup) }),
    },
  };
}

/**
 * Namespaces can be used by their owner only: who joins those of another container joins its user namespace as well, whose path this is.
 * @throws `conflict` when that one has the host's.
 */
export function joinedUserNamespace(ctx: EngineContext, { body }: Container): string | undefined {
  const { PidMode: pid = '', IpcMode: ipc = '' } = body.hostConfig;
  const donor =
    donorOf(pid) !== undefined ? pidDonor(ctx, pid) : donorOf(ipc) === undefined ? undefined : ipcDonor(ctx, ipc);
  if (!donor) return undefined;
  if (idsOf(ctx, donor)) return join(donor, 'user');
  const fact = `container ${donor.id} has the user namespace of the host (hint: use --userns=host for this one as well)`;
  throw new EngineError('conflict', `failed to join user namespace: ${fact}`);
}

/** The one that owns the network namespace. */
function ownNamespace(ctx: EngineContext, { body }: Container, network: { namespace: string }): { user?: string } {
  return remapOf(ctx, body.hostConfig) ? { user: ctx.networks.userNamespacePath(network.namespace) } : {};
}

function userMappings(ctx: EngineContext, { body }: Container): { userMappings?: UserMappings } {
  const mapping = remapOf(ctx, body.hostConfig)?.mapping;
  return mapping ? { userMappings: mapping } : {};
}

const hostOrPrivate = (mode: string) => (mode === 'host' ? 'host' : 'private');
const join = (donor: Container, kind: string) => `/proc/${donor.body.state.pid}/ns/${kind}`;

function enterShm(ctx: EngineContext, container: Container): { shm?: string } {
  const { IpcMode: mode = '' } = container.body.hostConfig;
  if (mode === 'shareable') return { shm: holdShm(ctx, container) };
  if (mode === 'none') return { shm: 'none' };
  if (mode === 'host') return { shm: '/dev/shm' };
  const donor = donorOf(mode) === undefined ? undefined : ipcDonor(ctx, mode);
  return donor ? { shm: donorShm(ctx, donor) } : {};
}

/** Of a container that shares the host's, its /dev/shm is the host's as well. */
function donorShm(ctx: EngineContext, donor: Container): string {
  return donor.body.hostConfig.IpcMode === 'host' ? '/dev/shm' : shmFolder(ctx, donor.id);
}

function ipcDonor(ctx: EngineContext, mode: string): Container {
  const fault = 'failed to join IPC namespace';
  const reference = donorOf(mode) ?? '';
  if (reference === '') throw invalid(`${fault}: invalid name or ID supplied: ""`);
  const donor = runningDonor(ctx, reference, { fault, absent: 'invalid-argument', stopped: 'conflict' });
  const { IpcMode } = donor.body.hostConfig;
  if (IpcMode === 'shareable' || IpcMode === 'host') return donor;
  throw invalid(
    `${fault}: container ${donor.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
  );
}

function pidDonor(ctx: EngineContext, mode: string): Container {
  const words = { fault: 'failed to join PID namespace', absent: 'internal', stopped: 'internal' } as const;
  return runningDonor(ctx, donorOf(mode) ?? '', words);
}

function runningDonor(
  ctx: EngineContext,
  reference: string,
  kinds: { fault: string; absent: 'invalid-argument' | 'internal'; stopped: 'conflict' | 'internal' },
): Container {
  let donor: Container;
  try {
    donor = ctx.containers.resolve(reference);
  } catch (error) {
    const kind = kindOf(error) === 'not-found' ? kinds.absent : kindOf(error);
    throw new EngineError(kind, `${kinds.fault}: ${messageOf(error)}`, { cause: error });
  }
  if (donor.isUp) return donor;
  throw new EngineError(kinds.stopped, `${kinds.fault}: container ${donor.id} is not running`);
}
