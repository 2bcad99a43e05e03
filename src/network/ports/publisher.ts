import { existsSync, readFileSync } from 'node:fs';
import { isIP, isIPv6 } from 'node:net';
import { EngineError, isErrno, messageOf } from '#errdefs';
import type { Family } from '../address.ts';
import type { PortBinding } from '../types.ts';
import { defaultRange, type HostPort, PortAllocator, type PortRange } from './allocator.ts';
import { holdPort, type PortHold, type ProxyTarget } from './holds.ts';
import { translatedWays } from './sctp.ts';

const bindErrors: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
};

/** A container's address in one family; what is `routed` is asked for there, on no host port. */
export interface PortTarget {
  readonly address: string;
  readonly routed: boolean;
}

export type PortTargets = Readonly<Partial<Record<Family, PortTarget>>>;

/** The ports of one endpoint while they are published. */
export interface PublishedPorts extends AsyncDisposable {
  /** With addresses and host ports as they are: one entry per address; port 0 is none, what is routed has no other. */
  readonly bindings: readonly PortBinding[];
}

/** Gives host ports to containers: promised in one table, held by sockets. */
export class PortPublisher {
  readonly #allocator = new PortAllocator(ephemeralRange());
  readonly #translates: Readonly<Record<Family, boolean>>;
  readonly #carries: boolean;

  /** `translates`: the families whose firewall leads to containers; what it does not is carried from socket to socket if `carries`. */
  constructor(translates: Readonly<Record<Family, boolean>>, carries = true) {
    this.#translates = translates;
    this.#carries = carries;
  }

  /**
   * Takes and binds all ports or none.
   * @throws `conflict` when one is taken, `invalid-argument` for impossible bindings; in Docker's words, without the endpoint.
   */
  async publish(targets: PortTargets, wanted: readonly PortBinding[]): Promise<PublishedPorts> {
    const held: Held[] = [];
    const bindings: PortBinding[] = [];
    const release = async () => {
      for (const { port, hold } of held.splice(0)) {
        await hold[Symbol.asyncDispose]();
        this.#allocator.release(port);
      }
    };
    try {
      for (const binding of wanted) bindings.push(...(await this.#publishOne(targets, binding, held)));
    } catch (error) {
      await release();
      throw error;
    }
    return { bindings, [Symbol.asyncDispose]: release };
  }

  async #publishOne(targets: PortTargets, binding: PortBinding, held: Held[]): Promise<PortBinding[]> {
    const { protocol, containerPort } = checked(binding);
    const ways = this.#waysTo(targets, binding);
    const routed = ways
      .filter(({ target }) => target.routed)
      .map(({ hostIP }) => ({ containerPort, protocol, hostIP: isIPv6(hostIP) ? '::' : '0.0.0.0', hostPort: 0 }));
    const bound = ways.filter(({ target }) => !target.routed);
    if (bound.length === 0) return routed;
    const port = await this.#bindSome(bound, binding, held);
    return [...routed, ...bound.map(({ hostIP }) => ({ containerPort, protocol, hostIP, hostPort: port }))];
  }

  #waysTo(targets: PortTargets, binding: PortBinding): Way[] {
    const ways = addressesOf(binding).flatMap((hostIP) =>
      this.#carries || targets[isIPv6(hostIP) ? 6 : 4] ? wayTo(targets, hostIP) : [],
    );
    return binding.protocol === 'sctp' ? translatedWays(ways, binding, this.#translates) : ways;
  }

  /** The first port of those that would do which is free on all these addresses. */
  async #bindSome(ways: readonly Way[], binding: PortBinding, held: Held[]): Promise<number> {
    const { protocol, hostPort, hostPortEnd = hostPort } = binding;
    const hostIPs = ways.map(({ hostIP }) => hostIP);
    const fixed = hostPort !== 0 && hostPortEnd === hostPort;
    const range = hostPort === 0 ? undefined : { first: hostPort, last: hostPortEnd };
    const candidates = fixed ? [hostPort] : this.#allocator.candidates(protocol, hostIPs, range);
    for (const port of candidates) {
      try {
        held.push(...(await this.#hold(ways, { ...binding, hostPort: port })));
        return port;
      } catch (error) {
        if (fixed || !isTaken(error)) throw error;
      }
    }
    const what = range ? `${range.first}-${range.last}` : 'ephemeral';
    throw new EngineError('conflict', `all ports are allocated: ${hostIPs[0]} ${protocol} ${what}`);
  }

  async #hold(ways: readonly Way[], binding: PortBinding): Promise<Held[]> {
    const { protocol, hostPort, containerPort } = binding;
    const hostIPs = ways.map(({ hostIP }) => hostIP);
    this.#allocator.take(protocol, hostIPs, hostPort);
    const held: Held[] = [];
    try {
      for (const { hostIP, target } of ways) {
        const onward = this.#carries ? { address: target.address, port: containerPort } : undefined;
        const hold = await bind(binding, hostIP, { address: target.address, port: containerPort }, onward);
        held.push({ port: { protocol, hostIP, hostPort }, hold });
      }
      return held;
    } catch (error) {
      for (const { hold } of held) await hold[Symbol.asyncDispose]();
      for (const hostIP of hostIPs) this.#allocator.release({ protocol, hostIP, hostPort });
      throw error;
    }
  }
}

interface Held {
  readonly port: HostPort;
  readonly hold: PortHold;
}

/** A host address and where what arrives there goes. */
export interface Way {
  readonly hostIP: string;
  readonly target: PortTarget;
}

/** What comes over IPv6 is carried to a container that has none over IPv4, as dockerd does; not the other way. */
function wayTo(targets: PortTargets, hostIP: string): Way[] {
  const target = isIPv6(hostIP) ? (targets[6] ?? targets[4]) : targets[4];
  if (!target || (target.routed && target === targets[4] && isIPv6(hostIP))) return [];
  return [{ hostIP, target }];
}

async function bind(
  binding: PortBinding,
  hostIP: string,
  target: ProxyTarget,
  onward: ProxyTarget | undefined,
): Promise<PortHold> {
  try {
    return await holdPort(binding.protocol, hostIP, binding.hostPort, onward);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const shown = bracketed(hostIP);
    throw new EngineError(
      'conflict',
      `failed to bind host port for ${shown}:${binding.hostPort}:${bracketed(target.address)}:${target.port}/${binding.protocol}: ` +
        (bindErrors[code] ?? messageOf(error)),
      { cause: error },
    );
  }
}

function bracketed(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}

function isTaken(error: unknown): boolean {
  return isErrno(error, 'EADDRINUSE') || (error instanceof Error && isErrno(error.cause, 'EADDRINUSE'));
}

/** No address is every address: IPv4's, and IPv6's where the machine has it. */
function addressesOf({ hostIP }: PortBinding): readonly string[] {
  if (hostIP !== '' && isIP(hostIP) === 0) {
    throw new EngineError('invalid-argument', `invalid IP address: ${hostIP}`);
  }
  if (hostIP !== '') return [hostIP];
  return existsSync('/proc/net/if_inet6') ? ['0.0.0.0', '::'] : ['0.0.0.0'];
}

function checked(binding: PortBinding): PortBinding {
  const { containerPort, hostPort, hostPortEnd = hostPort } = binding;
  const isPort = (port: number) => Number.isInteger(port) && port >= 0 && port <= 65535;
  if (!isPort(containerPort) || containerPort === 0 || !isPort(hostPort) || !isPort(hostPortEnd)) {
    throw new EngineError('invalid-argument', `invalid port binding: ${hostPort} to ${containerPort}`);
  }
  if (hostPortEnd < hostPort) {
    throw new EngineError('invalid-argument', `invalid port range: ${hostPort}-${hostPortEnd}`);
  }
  return binding;
}

function ephemeralRange(): PortRange {
  const [first, last] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range').toString().trim().split(/\s+/);
  const range = { first: Number(first), last: Number(last) };
  return range.first > 0 && range.last >= range.first ? range : defaultRange;
}
