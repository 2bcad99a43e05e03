import { readFile } from 'node:fs/promises';
import { EngineError } from '#errdefs';
import { type Capability, type HostSettings, type HostsFile, parseHostsFile, readHostsFile } from './host-settings.ts';
import { type Candidate, type Host, hostFor, hubHosts, mirrorHost } from './hosts.ts';
import type { InsecureHosts } from './insecure.ts';
import type { Connection } from './transport.ts';

const maxKept = 256;

/** Where a registry's images are read and written: its own host, its mirrors, and what `hosts.toml` says of each. Files are read anew for each call. */
export class HostBook {
  readonly #insecure: InsecureHosts;
  readonly #mirrors: readonly string[];
  readonly #certsDir: string | undefined;
  /** Parsed files by path and text. */
  readonly #parsed = new Map<string, Promise<HostsFile>>();

  constructor(parts: { insecure: InsecureHosts; mirrors: readonly string[]; certsDir: string | undefined }) {
    this.#insecure = parts.insecure;
    this.#mirrors = parts.mirrors;
    this.#certsDir = parts.certsDir;
  }

  /** The hosts that may be asked, best first; the registry itself last, unless a file says that it may not. @throws `invalid-argument`. */
  async hosts(domain: string, capability: Exclude<Capability, 'push'>): Promise<readonly Host[]> {
    const configured = domain === 'docker.io' ? this.#mirrors : [];
    const mirrors = await Promise.all(configured.map((mirror) => mirrorHost(mirror, this.#insecure)));
    return [...mirrors, ...(await this.#listed(domain, capability))];
  }

  /** The one host that takes what is written: the first of the file that may, else the registry itself. */
  async writable(domain: string): Promise<Host> {
    const [first] = await this.#listed(domain, 'push');
    if (first) return first;
    throw new EngineError('failed-precondition', `no host of ${domain} takes pushes by its hosts.toml`);
  }

  /** The registry itself. */
  async own(domain: string): Promise<Host> {
    const file = await this.#file(domain);
    return file ? await this.#serverOf(file, domain) : await hostFor(domain, this.#insecure);
  }

  async #listed(domain: string, capability: Capability): Promise<readonly Host[]> {
    const file = await this.#file(domain);
    if (!file) return [await hostFor(domain, this.#insecure)];
    const able = file.hosts.filter(({ settings }) => settings.capabilities.has(capability));
    const hosts = await Promise.all(able.map((host) => this.#listedHost(file, domain, host)));
    return file.own.capabilities.has(capability) ? [...hosts, await this.#serverOf(file, domain)] : hosts;
  }

  async #listedHost(file: HostsFile, domain: string, host: HostsFile['hosts'][number]): Promise<Host> {
    const { url, settings } = host;
    const isOwn = isSameRegistry(url, domain) || (file.server !== undefined && url.host === file.server.host);
    return {
      name: isOwn ? domain : `mirror ${url.origin}`,
      isMirror: !isOwn,
      candidates: [await this.#candidate(url, settings)],
      headers: settings.headers,
      ...(isSameRegistry(url, domain) ? {} : { namespace: domain }),
    };
  }

  async #serverOf(file: HostsFile, domain: string): Promise<Host> {
    const { own, server } = file;
    const shared = { headers: own.headers, isMirror: false, name: domain };
    if (server && !isSameRegistry(server, domain))
      return { ...shared, namespace: domain, candidates: [await this.#candidate(server, own)] };
    const plain = await hostFor(domain, this.#insecure);
    if (server?.protocol === 'http:') return { ...shared, candidates: [await this.#candidate(server, own)] };
    const connection = await connectionOf(own);
    const candidates = plain.candidates.map((candidate) => ({
      ...candidate,
      verify: candidate.verify && !own.skipVerify,
      ...(connection ? { connection } : {}),
    }));
    return { ...shared, candidates };
  }

  async #candidate(url: URL, settings: HostSettings): Promise<Candidate> {
    const path = url.pathname.replace(/\/+$/, '');
    const connection = await connectionOf(settings);
    const mayBeUnverified = settings.skipVerify || (await this.#insecure.includes(url.host));
    return {
      origin: url.origin,
      verify: url.protocol === 'https:' && !mayBeUnverified,
      root: settings.overridePath ? path : path.endsWith('/v2') ? path : `${path}/v2`,
      ...(connection ? { connection } : {}),
    };
  }

  async #file(domain: string): Promise<HostsFile | undefined> {
    const found = this.#certsDir === undefined ? undefined : await readHostsFile(this.#certsDir, domain);
    if (!found) return undefined;
    const key = `${found.path}\n${found.text}`;
    const known = this.#parsed.get(key);
    if (known) return await known;
    if (this.#parsed.size >= maxKept) this.#parsed.clear();
    const parsed = parseHostsFile(found.path, found.text);
    this.#parsed.set(key, parsed);
    return await parsed;
  }
}

function isSameRegistry(url: URL, domain: string): boolean {
  return url.host === domain || (domain === 'docker.io' && hubHosts.has(url.host));
}

/** What a connection needs beyond the ordinary; `undefined` for an ordinary one. Certificates are read anew, so that new ones count. */
async function connectionOf(settings: HostSettings): Promise<Connection | undefined> {
  const { ca, clients, proxy, dialTimeoutMs } = settings;
  if (ca.length === 0 && clients.length === 0 && !proxy && dialTimeoutMs === undefined) return undefined;
  const read = async (path: string) => await readFile(path, 'utf8');
  const pairs = clients.map(async ([cert, key]) => [await read(cert), await read(key ?? cert)] as const);
  return {
    ca: await Promise.all(ca.map(read)),
    clients: await Promise.all(pairs),
    ...(proxy ? { proxy } : {}),
    ...(dialTimeoutMs === undefined ? {} : { dialTimeoutMs }),
  };
}
