import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { KeyedLock } from '#concurrency';
import { EngineError } from '#errdefs';
import { BridgeNetwork } from './bridge-network.ts';
import { NamespaceHelper } from './helper.ts';
import { networkID } from './names.ts';
import { Namespaces } from './namespaces.ts';
import type { BridgeOptions, ConnectOptions, Endpoint, NetworkInfo, NetworkNamespace, Networks } from './types.ts';

/** The networks of one daemon. Touches nothing before `start`. */
export function openNetworks(options: BridgeOptions): Networks {
  return new LocalNetworks(options);
}

class LocalNetworks implements Networks {
  readonly #helper = new NamespaceHelper();
  readonly #namespaces: Namespaces;
  readonly #bridge: BridgeNetwork | undefined;
  readonly #host: NetworkInfo;
  readonly #none: NetworkInfo;
  /** One change at a time for a container. */
  readonly #lock = new KeyedLock();

  constructor(options: BridgeOptions) {
    this.#namespaces = new Namespaces(this.#helper, join(options.runRoot, 'netns'));
    // `--bridge=none` is dockerd's way to have no default bridge.
    if (options.bridgeName !== 'none') this.#bridge = new BridgeNetwork(options, this.#helper);
    const createdAt = new Date();
    this.#host = { id: networkID(options.instance, 'host'), name: 'host', driver: 'host', createdAt };
    this.#none = { id: networkID(options.instance, 'none'), name: 'none', driver: 'null', createdAt };
  }

  async start(): Promise<void> {
    await this.#namespaces.start();
    await this.#bridge?.start();
  }

  list(): readonly NetworkInfo[] {
    return [...(this.#bridge ? [this.#bridge.info] : []), this.#host, this.#none];
  }

  async createNamespace(containerID: string): Promise<NetworkNamespace> {
    using _held = await this.#lock.acquire(containerID);
    return await this.#namespaces.create(containerID);
  }

  namespacePath(containerID: string): string {
    return this.#namespaces.pathOf(containerID);
  }

  async removeNamespace(containerID: string): Promise<void> {
    using _held = await this.#lock.acquire(containerID);
    await this.#namespaces.remove(containerID);
  }

  async connect(containerID: string, options: ConnectOptions): Promise<Endpoint> {
    using _held = await this.#lock.acquire(containerID);
    const path = this.#namespaces.pathOf(containerID);
    if (this.#bridge?.info.id === options.networkID) return await this.#bridge.connect(containerID, path, options);
    if (options.networkID === this.#host.id || options.networkID === this.#none.id)
      return bareEndpoint(options.networkID);
    throw new EngineError('not-found', `network ${options.networkID} not found`);
  }

  async disconnect(containerID: string, networkID: string): Promise<void> {
    using _held = await this.#lock.acquire(containerID);
    if (this.#bridge?.info.id === networkID) await this.#bridge.disconnect(containerID);
  }

  async adopt(containerID: string, endpoint: Endpoint): Promise<void> {
    using _held = await this.#lock.acquire(containerID);
    if (this.#bridge?.info.id === endpoint.networkID) await this.#bridge.adopt(containerID, endpoint);
  }

  async recover(keep: ReadonlySet<string>): Promise<void> {
    for (const containerID of await this.#namespaces.list()) {
      if (!keep.has(containerID)) await this.#namespaces.remove(containerID);
    }
    await this.#bridge?.recover(keep);
  }

  async *verify(keep: ReadonlySet<string>): AsyncGenerator<string> {
    for (const containerID of await this.#namespaces.list()) {
      if (!keep.has(containerID)) yield `network namespace ${containerID} belongs to no container`;
    }
    if (this.#bridge) yield* this.#bridge.verify(keep);
  }

  async teardown(): Promise<void> {
    await this.#bridge?.teardown();
    for (const containerID of await this.#namespaces.list()) await this.#namespaces.remove(containerID);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bridge?.dispose();
    await this.#helper[Symbol.asyncDispose]();
  }
}

/** On `host` and `none` a container has an endpoint with an ID and nothing else. */
function bareEndpoint(networkID: string): Endpoint {
  return {
    networkID,
    endpointID: randomBytes(32).toString('hex'),
    ipAddress: '',
    prefixLength: 0,
    gateway: '',
    macAddress: '',
    ports: [],
    hostLink: '',
  };
}
