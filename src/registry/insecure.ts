import { lookup } from 'node:dns/promises';
import { BlockList, isIP, isIPv6 } from 'node:net';

/** Which hosts may be spoken to without verified TLS. */
export interface InsecureHosts {
  includes(host: string): Promise<boolean>;
}

/** Loopback always; then `host`, `host:port`, addresses and CIDRs as `--insecure-registry` takes them. */
export function insecureHosts(entries: readonly string[]): InsecureHosts {
  const names = new Set<string>();
  const blocks = new BlockList();
  blocks.addSubnet('127.0.0.0', 8, 'ipv4');
  blocks.addAddress('::1', 'ipv6');
  let hasOwnBlocks = false;
  for (const entry of entries) {
    const [address, prefix] = entry.split('/') as [string, string?];
    const bits = Number(prefix);
    if (
      prefix !== undefined &&
      isIP(address) !== 0 &&
      Number.isInteger(bits) &&
      bits >= 0 &&
      bits <= (isIPv6(address) ? 128 : 32)
    ) {
      blocks.addSubnet(address, bits, isIPv6(address) ? 'ipv6' : 'ipv4');
      hasOwnBlocks = true;
    } else {
      names.add(
        entry
          .replace(/^https?:\/\//, '')
          .replace(/\/.*$/, '')
          .toLowerCase(),
      );
    }
  }
  const isBlocked = (address: string) => blocks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  return {
    async includes(host) {
      const name = hostnameOf(host);
      if (names.has(host.toLowerCase()) || names.has(name) || name === 'localhost') return true;
      if (isIP(name) !== 0) return isBlocked(name);
      return hasOwnBlocks && (await addressesOf(name)).some(isBlocked);
    },
  };
}

/** `[::1]:5000` → `::1`. */
function hostnameOf(host: string): string {
  return new URL(`http://${host}`).hostname.replace(/^\[|\]$/g, '').toLowerCase();
}

/** A name that does not resolve is in no network. */
async function addressesOf(name: string): Promise<readonly string[]> {
  try {
    return (await lookup(name, { all: true })).map((entry) => entry.address);
  } catch {
    return [];
  }
}
