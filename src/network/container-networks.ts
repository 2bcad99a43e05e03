import { log } from '#log';
import { type Family, families, parseAddress } from './address.ts';
import type { ContainerNetwork } from './container-network.ts';
import type { NameView } from './dns/answer.ts';
import { Resolver } from './dns/resolver.ts';
import { type NamespaceHelper, NetworkError } from './helper.ts';
import { linkName } from './link-wishes.ts';
import type { DefaultRoute } from './links.ts';
import { configureLink } from './netlink/index.ts';
import { Program } from './program.ts';
import type { ConnectOptions, Endpoint, Resolving } from './types.ts';

/** A container's place on one network. */
interface Plug {
  readonly network: ContainerNetwork;
  readonly endpoint: Endpoint;
  readonly priority: number;
  readonly resolving: Resolving | undefined;
}

interface Plugged {
  plugs: readonly Plug[];
  resolver: Resolver | undefined;
}

type Adopted = Pick<ConnectOptions, 'gatewayPriority' | 'resolving'> & { readonly endpoint: Endpoint };

/**
 * What containers have across their networks: the names of their links, the one way out, and the name server. Calls about one container come one after
 * another.
 */
export class ContainerNetworks implements AsyncDisposable {
  readonly #helper: NamespaceHelper;
  readonly #containers = new Map<string, Plugged>();

  constructor(helper: NamespaceHelper) {
    this.#helper = helper;
  }

  async connect(
    containerID: string,
    namespacePath: string,
    network: ContainerNetwork,
    options: ConnectOptions,
  ): Promise<Endpoint> {
    const plugs = this.#plugsOf(containerID);
    const priority = options.gatewayPriority ?? 0;
    const endpoint = await network.connect(
      containerID,
      {
        namespacePath,
        linkInside: linkInside(plugs, network, options),
        wishes: options.link ?? {},
        waysOut: waysOut(network, priority, plugs),
      },
      options,
    );
    const plug = { network, endpoint, priority, resolving: options.resolving };
    this.#set(containerID, [...plugs, plug]);
    try {
      await this.#openResolver(containerID, namespacePath);
    } catch (error) {
      this.#set(containerID, plugs);
      await network.disconnect(containerID);
      throw error;
    }
    return endpoint;
  }

  /** `live`: the container goes on without this network, so another one leads out now. */
  async disconnect(
    containerID: string,
    namespacePath: string,
    network: ContainerNetwork,
    live: boolean,
  ): Promise<void> {
    const plugs = this.#plugsOf(containerID);
    const left = plugs.filter((plug) => plug.network !== network);
    this.#set(containerID, left);
    for (const family of families) {
      const leads = leading(left, family);
      const led = leading(plugs, family);
      if (live && leads && led && leads !== led) await this.#leadOut(namespacePath, leads, family);
    }
    await network.disconnect(containerID);
  }

  async publish(
    containerID: string,
    network: ContainerNetwork,
    options: Pick<ConnectOptions, 'name' | 'ports'>,
  ): Promise<Endpoint> {
    const endpoint = await network.publish(containerID, options);
    const plugs = this.#plugsOf(containerID).map((plug) => (plug.network === network ? { ...plug, endpoint } : plug));
    this.#set(containerID, plugs);
    return endpoint;
  }

  async adopt(containerID: string, namespacePath: string, network: ContainerNetwork, adopted: Adopted): Promise<void> {
    const { endpoint, gatewayPriority = 0, resolving } = adopted;
    await network.adopt(containerID, endpoint, resolving?.names ?? []);
    const plugs = this.#plugsOf(containerID);
    this.#set(containerID, [...plugs, { network, endpoint, priority: gatewayPriority, resolving }]);
    await this.#openResolver(containerID, namespacePath);
  }

  /** The container has ended, its namespace goes. */
  async forget(containerID: string): Promise<void> {
    const { resolver } = this.#containers.get(containerID) ?? {};
    this.#containers.delete(containerID);
    await resolver?.[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const containerID of [...this.#containers.keys()]) await this.forget(containerID);
  }

  /** After links that nobody accounts for were removed, which may have been the way out: every container's is where it belongs. */
  async restoreRoutes(namespacePath: (containerID: string) => string): Promise<void> {
    for (const [containerID, { plugs }] of this.#containers) {
      for (const family of families) {
        const leads = leading(plugs, family);
        if (leads) await this.#leadOut(namespacePath(containerID), leads, family);
      }
    }
  }

  /** Whether anything of it was connected or adopted here: then what it has on other networks is left over. */
  knows(containerID: string): boolean {
    return this.#containers.has(containerID);
  }

  #plugsOf(containerID: string): readonly Plug[] {
    return this.#containers.get(containerID)?.plugs ?? [];
  }

  #set(containerID: string, plugs: readonly Plug[]): void {
    const known = this.#containers.get(containerID);
    if (known) known.plugs = plugs;
    else this.#containers.set(containerID, { plugs, resolver: undefined });
  }

  async #leadOut(namespacePath: string, { endpoint }: Plug, family: Family): Promise<void> {
    const gateway = gatewayOf(endpoint, family);
    const route = configureLink({
      name: endpoint.linkInside,
      gateway: gateway === '' ? family : parseAddress(gateway),
      replaceRoute: true,
    });
    try {
      await this.#helper.run(new Program().enter(namespacePath).send('change the default route', route));
    } catch (error) {
      // The container may have ended meanwhile, or have put its link down itself.
      if (!(error instanceof NetworkError)) throw error;
      log.debug('the default route of a container was not set', { link: endpoint.hostLink, error });
    }
  }

  async #openResolver(containerID: string, namespacePath: string): Promise<void> {
    const container = this.#containers.get(containerID)!;
    if (container.resolver || !container.plugs.some(({ resolving }) => resolving)) return;
    container.resolver = await Resolver.open({
      helper: this.#helper,
      namespacePath,
      view: this.#viewOf(containerID),
      servers: () => serversOf(this.#plugsOf(containerID)),
    });
  }

  #viewOf(containerID: string): NameView {
    const named = () => this.#plugsOf(containerID).filter(({ resolving }) => resolving);
    return {
      addressesOf: (name) => named().flatMap((plug) => addressesOn(plug, name)),
      nameOf: (address) => {
        for (const { network } of named()) {
          const name = network.names.nameOf(address);
          if (name !== undefined) return `${name}.${network.info.name}`;
        }
        return undefined;
      },
    };
  }
}

/** `name`, `name.network`, and links of this container's own. */
function addressesOn({ network, resolving }: Plug, name: string): readonly string[] {
  const suffix = `.${network.info.name}`.toLowerCase();
  const short = name.toLowerCase().endsWith(suffix) ? name.slice(0, -suffix.length) : name;
  const linked = resolving?.links[short];
  return network.names.addressesOf(linked ?? short);
}

/** Networks that lead nowhere do not lead to name servers either. */
function serversOf(plugs: readonly Plug[]): readonly string[] {
  if (!families.some((family) => leading(plugs, family))) return [];
  return plugs.find(({ resolving }) => resolving)?.resolving?.servers ?? [];
}

function linkInside(plugs: readonly Plug[], { info }: ContainerNetwork, { link }: ConnectOptions): string {
  const taken = new Set(plugs.map(({ endpoint }) => endpoint.linkInside));
  return linkName(link?.name ?? '', taken, info.linkPrefix ?? 'eth');
}

function gatewayOf(endpoint: Endpoint, family: Family): string {
  return family === 4 ? endpoint.gateway : (endpoint.ipv6?.gateway ?? '');
}

/**
 * The network a container's default route leads to: the highest priority, then the first name, as dockerd 28 chooses; one that leads out in both families goes
 * before those that lead out in one.
 */
function leading<T extends Candidate>(candidates: readonly T[], family: Family): T | undefined {
  const sorted = candidates.toSorted(
    (a, b) => b.priority - a.priority || (a.network.info.name < b.network.info.name ? -1 : 1),
  );
  const dual = sorted.find(({ network }) => families.every((each) => network.leadsOut(each)));
  return dual ?? sorted.find(({ network }) => network.leadsOut(family));
}

type Candidate = Pick<Plug, 'network' | 'priority'>;

/** What a network that comes to the others changes for a container's default routes. */
function waysOut(network: ContainerNetwork, priority: number, plugs: readonly Plug[]) {
  const candidate: Candidate = { network, priority };
  const wayOut = (family: Family): DefaultRoute => {
    if (leading([...plugs, candidate], family) !== candidate) return undefined;
    return leading(plugs, family) ? 'instead' : 'first';
  };
  return { ipv4: wayOut(4), ipv6: wayOut(6) };
}
