import { existsSync, readFileSync } from 'node:fs';
import { isIP, isIPv6 } from 'node:net';
import { EngineError, isErrno, messageOf } from '#errdefs';
import type { PortBinding } from '../types.ts';
import { defaultRange, type HostPort, PortAllocator, type PortRange } from './allocator.ts';
import { holdPort, type PortHold } from './holds.ts';

const bindErrors: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
};

/** The ports of one endpoint while they are published. */
export interface PublishedPorts extends AsyncDisposable {
  /** With addresses and host ports as they are: one entry per address. */
  readonly bindings: readonly PortBinding[];
}

/** Gives host ports to containers: promised in one table, held by sockets. */
export class PortPublisher {
  readonly #allocator = new PortAllocator(ephemeralRange());

  /**
   * Takes and binds all ports or none.
   * @throws `conflict` when one is taken, `invalid-argument` for impossible bindings; in Docker's words, without the endpoint.
   */
  async publish(containerIP: string, wanted: readonly PortBinding[]): Promise<PublishedPorts> {
    const held: { port: HostPort; hold: PortHold }[] = [];
    const bindings: PortBinding[] = [];
    const release = async () => {
      for (const { port, hold } of held.splice(0)) {
        await hold[Symbol.asyncDispose]();
        this.#allocator.release(port);
      }
    };
    try {
      for (const binding of wanted) bindings.push(...(await this.#publishOne(containerIP, binding, held)));
    } catch (error) {
      await release();
      throw error;
    }
    return { bindings, [Symbol.asyncDispose]: release };
  }

  async #publishOne(
    containerIP: string,
    binding: PortBinding,
    held: { port: HostPort; hold: PortHold }[],
  ): Promise<PortBinding[]> {
    const hostIPs = addressesOf(binding);
    const { protocol, containerPort, hostPort, hostPortEnd = hostPort } = checked(binding);
    const fixed = hostPort !== 0 && hostPortEnd === hostPort;
    const range = hostPort === 0 ? undefined : { first: hostPort, last: hostPortEnd };
    const candidates = fixed ? [hostPort] : this.#allocator.candidates(protocol, hostIPs, range);
    for (const port of candidates) {
      try {
        held.push(...(await this.#hold(containerIP, { ...binding, hostPort: port }, hostIPs)));
        return hostIPs.map((hostIP) => ({ containerPort, protocol, hostIP, hostPort: port }));
      } catch (error) {
        if (fixed || !isTaken(error)) throw error;
      }
    }
    const what = range ? `${range.first}-${range.last}` : 'ephemeral';
    throw new EngineError('conflict', `all ports are allocated: ${hostIPs[0]} ${protocol} ${what}`);
  }

  async #hold(containerIP: string, binding: PortBinding, hostIPs: readonly string[]) {
    const { protocol, hostPort, containerPort } = binding;
    this.#allocator.take(protocol, hostIPs, hostPort);
    const held: { port: HostPort; hold: PortHold }[] = [];
    try {
      for (const hostIP of hostIPs) {
        const target = { address: containerIP, port: containerPort };
        held.push({
          port: { protocol, hostIP, hostPort },
          hold: await bind(binding, hostIP, target),
        });
      }
      return held;
    } catch (error) {
      for (const { hold } of held) await hold[Symbol.asyncDispose]();
      for (const hostIP of hostIPs) this.#allocator.release({ protocol, hostIP, hostPort });
      throw error;
    }
  }
}

async function bind(binding: PortBinding, hostIP: string, target: { address: string; port: number }) {
  try {
    return await holdPort(binding.protocol, hostIP, binding.hostPort, target);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const shown = isIPv6(hostIP) ? `[${hostIP}]` : hostIP;
    throw new EngineError(
      'conflict',
      `failed to bind host port for ${shown}:${binding.hostPort}:${target.address}:${target.port}/${binding.protocol}: ` +
        (bindErrors[code] ?? messageOf(error)),
      { cause: error },
    );
  }
}

function isTaken(error: unknown): boolean {
  return isErrno(error, 'EADDRINUSE') || (error instanceof Error && isErrno(error.cause, 'EADDRINUSE'));
}

/** No address is every address: IPv4's, and IPv6's where the machine has it. */
function addressesOf({ hostIP, protocol }: PortBinding): readonly string[] {
  if (hostIP !== '' && isIP(hostIP) === 0) {
    throw new EngineError('invalid-argument', `invalid IP address: ${hostIP}`);
  }
  if (protocol === 'sctp' && isIPv6(hostIP)) {
    throw new EngineError('not-implemented', `publishing SCTP on the IPv6 address ${hostIP} is not supported`);
  }
  if (hostIP !== '') return [hostIP];
  return protocol !== 'sctp' && existsSync('/proc/net/if_inet6') ? ['0.0.0.0', '::'] : ['0.0.0.0'];
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
  const [first, last] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/);
  const range = { first: Number(first), last: Number(last) };
  return range.first > 0 && range.last >= range.first ? range : defaultRange;
}
