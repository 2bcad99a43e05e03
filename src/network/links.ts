import { log } from '#log';
import { type Address, macOf, parseAddress } from './address.ts';
import { type Bridge, listHostLinks } from './bridge.ts';
import { placesOf } from './endpoint-addresses.ts';
import { forgetUdpFlows } from './flows.ts';
import { NamespaceHelper, NetworkError } from './helper.ts';
import { addLinkLocals, type LinkWishes, writeSysctls } from './link-wishes.ts';
import { isLinkName } from './names.ts';
import { configureLink, createVeth, deleteLink, deleteNeighbour, setHairpin, setIsolated } from './netlink/index.ts';
import { Program } from './program.ts';
import type { Endpoint, EndpointAddress } from './types.ts';

/** The way out of a container: by itself, or in the place of another network's. */
export type DefaultRoute = 'first' | 'instead' | undefined;

/** One for each family. */
export interface WaysOut {
  readonly ipv4: DefaultRoute;
  readonly ipv6: DefaultRoute;
}

/**
 * What makes an endpoint's link: the pair, with its other end born inside the namespace, then (`between`, still outside) the rules that need it, then addresses
 * and routes inside.
 */
export function plugProgram(options: {
  readonly endpoint: Endpoint;
  readonly bridge: Bridge;
  readonly mtu: number;
  readonly namespacePath: string;
  readonly waysOut: WaysOut;
  readonly wishes: LinkWishes;
  /** It may not speak to other ports of the bridge. */
  readonly isolated: boolean;
  readonly between: (program: Program) => void;
}): Program {
  const { endpoint, bridge, mtu, namespacePath } = options;
  const { hostLink, macAddress, linkInside } = endpoint;
  const program = new Program();
  for (const address of rememberedWrongly(endpoint)) {
    program.send('forget neighbour', deleteNeighbour(bridge.index, address), { lenient: true });
  }
  program
    .send(
      `create link ${hostLink}`,
      createVeth({
        hostName: hostLink,
        peerName: linkInside,
        macAddress,
        mtu,
        bridgeIndex: bridge.index,
        namespacePath,
      }),
    )
    .write(`/proc/sys/net/ipv6/conf/${hostLink}/disable_ipv6`, '1');
  if (options.isolated) program.send(`isolate ${hostLink}`, setIsolated(hostLink));
  if (endpoint.ports.length > 0) program.send(`set hairpin mode of ${hostLink}`, setHairpin(hostLink));
  options.between(program);
  return settleInside(program.enter(namespacePath), options);
}

/** What comes after a link is there, inside of its namespace: settings, addresses and routes. */
export function settleInside(
  program: Program,
  { endpoint, waysOut, wishes }: { endpoint: Endpoint; waysOut: WaysOut; wishes: LinkWishes },
): Program {
  const { linkInside: name } = endpoint;
  program.write(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, endpoint.ipv6 ? '0' : '1');
  writeSysctls(program, name, wishes);
  for (const [family, place] of placesOf(endpoint)) {
    configureInside(program, name, place, family === 4 ? waysOut.ipv4 : waysOut.ipv6);
  }
  addLinkLocals(program, name, wishes);
  return program;
}

/** Addresses whose hardware address is not the one that comes with them. */
function rememberedWrongly({ ipAddress, ipv6, macAddress }: Endpoint): Address[] {
  return [ipAddress, ipv6?.ipAddress ?? '']
    .filter((text) => text !== '')
    .map(parseAddress)
    .filter((address) => macOf(address) !== macAddress);
}

/** Addresses and the way out, inside of the namespace. */
function configureInside(program: Program, name: string, place: EndpointAddress, wayOut: DefaultRoute): void {
  const { ipAddress, prefixLength, gateway } = place;
  const address = parseAddress(ipAddress);
  const route = wayOut
    ? { gateway: gateway === '' ? address.family : parseAddress(gateway), replaceRoute: wayOut === 'instead' }
    : {};
  program.send(`configure ${name}`, configureLink({ name, address, prefixLength, ...route }));
}

/**
 * Takes links away. The kernel waits tens of milliseconds for each: a helper of its own, so that no connect waits behind it, and most of it in the background.
 */
export class LinkRemover implements AsyncDisposable {
  readonly #helper = new NamespaceHelper();
  readonly #running = new Set<Promise<void>>();

  /** Absent is fine. */
  async remove(name: string): Promise<void> {
    try {
      await this.#helper.run(new Program().send(`delete link ${name}`, deleteLink(name)));
    } catch (error) {
      if (!(error instanceof NetworkError && error.code === 'ENODEV')) throw error;
    }
  }

  forgetFlows(endpoint: Endpoint): void {
    if (endpoint.ports.some(({ protocol }) => protocol === 'udp')) {
      this.inBackground(forgetUdpFlows(this.#helper, endpoint));
    }
  }

  /** Work nobody waits for; a failure is logged. */
  inBackground(work: Promise<void>): void {
    const tracked: Promise<void> = work
      .catch((error) => log.warn('network clean-up failed', { error }))
      .finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.settled();
    await this.#helper[Symbol.asyncDispose]();
  }
}

/** Host ends on the bridge that are neither in `known` nor start as one of `prefixes` does. */
export async function strayLinks(
  helper: NamespaceHelper,
  bridge: Bridge,
  known: ReadonlySet<string>,
  prefixes: readonly string[],
): Promise<readonly string[]> {
  return (await listHostLinks(helper))
    .filter(({ name, masterIndex }) => isLinkName(name) && masterIndex === bridge.index)
    .map(({ name }) => name)
    .filter((name) => !known.has(name) && !prefixes.some((prefix) => name.startsWith(prefix)));
}
