import { execFile } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { getSystemErrorMessage, promisify } from 'node:util';
import { EngineError, messageOf } from '#errdefs';
import { mountClone, mountsBelow, unmountBelow } from '#mount';
import { mountFlags, sys } from '#sys';
import { mountArguments } from './driver-options.ts';
import type { VolumeInfo } from './types.ts';

const run = promisify(execFile);
const networkTypes = /^(?:nfs4?|cifs|smb3?|ceph|glusterfs|9p)$/;
const networkTimeoutMs = 120_000;

/** Volumes with a `device`: it is mounted on the volume's folder as long as somebody uses it. */
export class DeviceMounts {
  readonly #users = new Map<string, Set<string>>();

  /** Mounts for the first user. One call for a volume at a time. @throws `internal` in Docker's words. */
  async hold(volume: VolumeInfo, user: string): Promise<void> {
    if (!hasDevice(volume)) return;
    if (!isMounted(volume)) await mountDevice(volume);
    this.adopt(volume, user);
  }

  /** Says of a mount that is there that somebody uses it. */
  adopt(volume: VolumeInfo, user: string): void {
    if (!hasDevice(volume)) return;
    const users = this.#users.get(volume.name) ?? new Set();
    this.#users.set(volume.name, users.add(user));
  }

  /** Unmounts after the last user. Absent is fine. */
  async release(volume: VolumeInfo, user: string): Promise<void> {
    if (!hasDevice(volume)) return;
    this.#users.get(volume.name)?.delete(user);
    await this.sweep(volume);
  }

  /** Unmounts what a crash left without users. */
  async sweep(volume: VolumeInfo): Promise<void> {
    if ((this.#users.get(volume.name)?.size ?? 0) > 0) return;
    this.#users.delete(volume.name);
    if (hasDevice(volume)) await unmountBelow(volume.mountpoint);
  }
}

export const hasDevice = ({ options }: VolumeInfo): boolean => Object.keys(options ?? {}).length > 0;

const isMounted = ({ mountpoint }: VolumeInfo) => mountsBelow(mountpoint).some(({ target }) => target === mountpoint);

async function mountDevice({ mountpoint, options }: VolumeInfo): Promise<void> {
  const given = mountArguments(options ?? {});
  const described = [
    `mount ${given.device}:${mountpoint}`,
    ...(given.flags === 0 ? [] : [`flags: 0x${given.flags.toString(16)}`]),
    ...(given.data === '' ? [] : [`data: ${given.data}`]),
  ].join(', ');
  try {
    if (networkTypes.test(given.type)) await mountNetwork(mountpoint, options ?? {}, given.data);
    else if (given.flags & mountFlags.bind) bindDevice(given.device, mountpoint, given.flags);
    else sys.mount(given.device, mountpoint, given.type, given.flags, given.data);
  } catch (error) {
    const message = `error while mounting volume '${mountpoint}': failed to mount local volume: ${described}: ${reasonOf(error)}`;
    throw new EngineError('internal', message, { cause: error });
  }
}

/** The kernel takes a bind and what it is not to allow in two steps. What is mounted at the folder later is there too. */
function bindDevice(folder: string, mountpoint: string, flags: number): void {
  const { bind, recursive, remount } = mountFlags;
  mountClone(folder, mountpoint, { recursive: (flags & recursive) !== 0, follows: true });
  const restrictions = flags & ~(bind | recursive);
  if (restrictions !== 0) sys.mount('', mountpoint, '', bind | remount | restrictions, '');
}

/** By a process of its own: a server that does not answer holds up only who waits for it. The kernel is asked for addresses, not names. */
async function mountNetwork(
  mountpoint: string,
  options: Readonly<Record<string, string>>,
  data: string,
): Promise<void> {
  const name = data
    .split(',')
    .find((word) => word.startsWith('addr='))
    ?.slice('addr='.length);
  const address = name === undefined || isIP(name) > 0 ? name : (await lookup(name)).address;
  const words = (options['o'] ?? '').split(',').filter((word) => word !== '' && !word.startsWith('addr='));
  const all = [...words, ...(address === undefined ? [] : [`addr=${address}`])];
  const flags = all.length > 0 ? ['-o', all.join(',')] : [];
  await run('mount', ['-i', '-t', options['type']!, ...flags, options['device']!, mountpoint], {
    timeout: networkTimeoutMs,
    killSignal: 'SIGKILL',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
  });
}

function reasonOf(error: unknown): string {
  const { errno, stderr } = error as { errno?: number; stderr?: string };
  const said = stderr
    ?.trim()
    .split('\n')[0]
    ?.replace(/^mount: [^:]*: /, '')
    .replace(/\.$/, '');
  if (said) return said;
  return typeof errno === 'number' ? getSystemErrorMessage(-Math.abs(errno)) : messageOf(error);
}
