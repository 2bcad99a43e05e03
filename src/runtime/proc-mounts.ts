import { sys } from '#sys';
import type { ContainerSpec } from './types.ts';

const procMagic = 0x9fa0;
/** What a container may be shown something else for: it tells of the machine and protects nothing. */
const harmless = new Set(
  [
    ...['cpuinfo', 'diskstats', 'loadavg', 'meminfo', 'slabinfo', 'stat', 'swaps', 'uptime'],
    ...['sys/crypto/fips_enabled', 'sys/kernel/ns_last_pid'],
  ].map((name) => `/proc/${name}`),
);

/**
 * Why something cannot be mounted over /proc or in it, in runc's words. crun lets it be, and a container would be kept by files that somebody else
 * wrote: labels are set and limits are read there (CVE-2019-16884).
 */
export function procMountFault({ rootfs, mounts }: Pick<ContainerSpec, 'rootfs' | 'mounts'>): string | undefined {
  for (const { destination, source, type } of mounts) {
    if (harmless.has(destination)) continue;
    const fault =
      destination === '/proc' && !isProc(type, source)
        ? 'it is not of type proc'
        : destination.startsWith('/proc/') && 'it is inside /proc';
    if (!fault) continue;
    const place = `error mounting "${source}" to rootfs at "${destination}": create mountpoint for ${destination} mount`;
    const reason = `check proc-safety of ${destination} mount: "${rootfs}${destination}" cannot be mounted because ${fault}`;
    return `unable to start container process: error during container init: ${place}: ${reason}`;
  }
  return undefined;
}

const isProc = (type: string, source: string) => type === 'bind' && sys.statfs(source).type === procMagic;
