import { readFileSync } from 'node:fs';

/** Linux capabilities by name, capabilities(7): what Docker gives a container, and all there are. */
const names = (list: string) => list.split(' ').map((name) => `CAP_${name}`);

export const defaultCapabilities: readonly string[] = names(
  'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE',
);

/** In the order of their numbers. */
export const knownCapabilities: readonly string[] = names(
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST ' +
    'NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE ' +
    'SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG ' +
    'WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE',
);

/** The capabilities of a bounding set, given as `/proc/<pid>/status` writes it. */
export function capabilitiesOf(boundingHex: string): string[] {
  const bits = BigInt(`0x${boundingHex}`);
  return knownCapabilities.filter((_name, bit) => ((bits >> BigInt(bit)) & 1n) === 1n);
}

let available: readonly string[] | undefined;

/** What `ALL` and `--privileged` mean here: the daemon can hand on what it may have itself, and no more. */
export function availableCapabilities(): readonly string[] {
  available ??= capabilitiesOf(
    /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status').toString())?.[1] ?? '0',
  );
  return available;
}
