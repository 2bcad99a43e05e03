/** Which host ports are promised to containers of this daemon. */
import { isIPv6 } from 'node:net';
import { EngineError } from '#errdefs';

export type Protocol = 'tcp' | 'udp' | 'sctp';

export interface HostPort {
  readonly protocol: Protocol;
  readonly hostIP: string;
  readonly hostPort: number;
}

/** The kernel's ephemeral range when `net.ipv4.ip_local_port_range` can't be read. */
export const defaultRange: PortRange = { first: 32768, last: 60999 };

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export class PortAllocator {
  readonly #taken = new Map<string, Set<string>>();
  readonly #lastGiven = new Map<Protocol, number>();
  readonly #ephemeral: PortRange;

  constructor(ephemeral: PortRange = defaultRange) {
    this.#ephemeral = ephemeral;
  }

  /** Takes one port on several addresses. @throws `conflict` in Docker's words, with the address that has it. */
  take(protocol: Protocol, hostIPs: readonly string[], port: number): void {
    const holder = this.#holder(protocol, hostIPs, port);
    if (holder !== undefined) {
      throw new EngineError('conflict', `Bind for ${holder}:${port} failed: port is already allocated`);
    }
    const key = keyOf(protocol, port);
    const taken = this.#taken.get(key) ?? new Set();
    for (const hostIP of hostIPs) taken.add(hostIP);
    this.#taken.set(key, taken);
  }

  /**
   * Candidates for a binding, in the order they are to be tried; none of them is taken yet. A wanted range is walked from its start, the
   * ephemeral range on from the last port given, as dockerd does.
   */
  *candidates(protocol: Protocol, hostIPs: readonly string[], wanted?: PortRange): Generator<number> {
    const range = wanted ?? this.#ephemeral;
    const count = range.last - range.first + 1;
    const lastGiven = wanted ? undefined : this.#lastGiven.get(protocol);
    const start = lastGiven === undefined ? 0 : lastGiven + 1 - range.first;
    for (let i = 0; i < count; i++) {
      const port = range.first + ((start + i) % count);
      if (this.#holder(protocol, hostIPs, port) !== undefined) continue;
      if (!wanted) this.#lastGiven.set(protocol, port);
      yield port;
    }
  }

  release({ protocol, hostIP, hostPort }: HostPort): void {
    const key = keyOf(protocol, hostPort);
    const taken = this.#taken.get(key);
    taken?.delete(hostIP);
    if (taken?.size === 0) this.#taken.delete(key);
  }

  #holder(protocol: Protocol, hostIPs: readonly string[], port: number): string | undefined {
    const taken = this.#taken.get(keyOf(protocol, port));
    return taken && [...taken].find((held) => hostIPs.some((hostIP) => clash(held, hostIP)));
  }
}

function keyOf(protocol: Protocol, port: number): string {
  return `${protocol}/${port}`;
}

function clash(a: string, b: string): boolean {
  return isIPv6(a) === isIPv6(b) && (a === b || isUnspecified(a) || isUnspecified(b));
}

export function isUnspecified(hostIP: string): boolean {
  return hostIP === '0.0.0.0' || hostIP === '::';
}
