import type { ContainerSpec, SpecMount } from './types.ts';

/** What Docker hides of /proc and /sys in a container that is not privileged. */
export const defaultMaskedPaths = [
  ...['/proc/asound', '/proc/acpi', '/proc/interrupts', '/proc/kcore', '/proc/keys', '/proc/latency_stats'],
  ...['/proc/timer_list', '/proc/timer_stats', '/proc/sched_debug', '/proc/scsi'],
  ...['/sys/firmware', '/sys/devices/virtual/powercap'],
] as const;

export const defaultReadonlyPaths = [
  ...['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
] as const;

/** What a user without capabilities may do in a network namespace of the container's own. */
const networkSysctls: Readonly<Record<string, string>> = {
  'net.ipv4.ip_unprivileged_port_start': '0',
  'net.ipv4.ping_group_range': '0 2147483647',
};

/** A user namespace has not all these groups, so its network namespace keeps the kernel's range, as with dockerd. */
export function defaultNetworkSysctls(
  spec: Pick<ContainerSpec, 'networkNamespace' | 'userMappings'>,
): Readonly<Record<string, string>> {
  if (spec.networkNamespace === 'host') return {};
  const { 'net.ipv4.ping_group_range': _groups, ...others } = networkSysctls;
  return spec.userMappings ? others : networkSysctls;
}

const noExecOrDevices = ['nosuid', 'noexec', 'nodev'];

/** The mounts every container gets. A privileged one may write to /sys. */
export function defaultMounts(options: {
  shmSizeBytes: number;
  shm?: string;
  privileged: boolean;
  writableCgroups?: boolean;
}): SpecMount[] {
  const access = options.privileged ? 'rw' : 'ro';
  const cgroupAccess = options.writableCgroups ? 'rw' : access;
  const mount = (destination: string, type: string, source: string, ...more: string[]): SpecMount => ({
    destination,
    type,
    source,
    options: more,
  });
  return [
    mount('/proc', 'proc', 'proc', ...noExecOrDevices),
    mount('/dev', 'tmpfs', 'tmpfs', 'nosuid', 'strictatime', 'mode=755', 'size=65536k'),
    mount(
      ...(['/dev/pts', 'devpts', 'devpts', 'nosuid', 'noexec', 'newinstance'] as const),
      ...['ptmxmode=0666', 'mode=0620', 'gid=5'],
    ),
    mount('/sys', 'sysfs', 'sysfs', ...noExecOrDevices, access),
    mount('/sys/fs/cgroup', 'cgroup', 'cgroup', cgroupAccess, ...noExecOrDevices),
    mount('/dev/mqueue', 'mqueue', 'mqueue', ...noExecOrDevices),
    ...shmMount(options),
  ];
}

function shmMount({ shm, shmSizeBytes }: { shmSizeBytes: number; shm?: string }): SpecMount[] {
  const destination = '/dev/shm';
  if (shm === 'none') return [];
  // crun drops the flags of a bind's source. The host's own /dev/shm is given as it is.
  const flags = shm === destination ? [] : noExecOrDevices;
  if (shm !== undefined) return [{ destination, type: 'bind', source: shm, options: ['rbind', 'rprivate', ...flags] }];
  const options = [...noExecOrDevices, 'mode=1777', `size=${shmSizeBytes}`];
  return [{ destination, type: 'tmpfs', source: 'shm', options }];
}

export interface DeviceRule {
  readonly allow: boolean;
  readonly type?: 'a' | 'b' | 'c';
  readonly major?: number;
  readonly minor?: number;
  readonly access: string;
}

const character = (major: number, minor: number): DeviceRule => ({
  allow: true,
  type: 'c',
  major,
  minor,
  access: 'rwm',
});

/** zero, null, urandom, random, tty, console; the runtime adds what it makes itself (ptmx, pts). */
export const defaultDeviceRules: readonly DeviceRule[] = [
  { allow: false, access: 'rwm' },
  ...[character(1, 5), character(1, 3), character(1, 9), character(1, 8), character(5, 0), character(5, 1)],
];

export const allDeviceRules: readonly DeviceRule[] = [{ allow: true, access: 'rwm' }];
