import type { Challenge } from './challenge.ts';
import { parseChallenges } from './challenge.ts';
import { RegistryError } from './errors.ts';
import type { InsecureHosts } from './insecure.ts';
import type { Connection, HttpAnswer, HttpRequest, Manner } from './transport.ts';

const dockerHub = 'registry-1.docker.io';
/** What docker.io is called where its parts are. */
export const hubHosts: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', dockerHub]);
/** A choice of endpoint is asked again after this. */
const pingLifeMs = 5 * 60_000;

/** Where a domain's API may be, best first. */
export interface Host {
  readonly name: string;
  readonly candidates: readonly Candidate[];
  /** A mirror is another party: it never sees the credentials of what it mirrors. */
  readonly isMirror: boolean;
  /** Sent with every request to it. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The registry whose images are meant, for hosts that serve several: containerd's parameter `ns`. */
  readonly namespace?: string;
}

export interface Candidate {
  readonly origin: string;
  readonly verify: boolean;
  /** The path that stands for `/v2`. */
  readonly root?: string;
  readonly connection?: Connection;
}

/** A candidate that answered, with what it asks for. */
export interface Endpoint extends Candidate {
  readonly challenges: readonly Challenge[];
}

/** Where a call's `/v2/…` is on a host. */
export function urlOf(host: Host, candidate: Candidate, target: string): URL {
  const url = new URL((candidate.root ?? '/v2') + target.slice('/v2'.length), candidate.origin);
  if (host.namespace) url.searchParams.set('ns', host.namespace);
  return url;
}

/** Tells hosts apart in caches, by everything that is configured of them. */
function keyOf(host: Host): string {
  return JSON.stringify(host);
}

/** docker.io lives elsewhere; an insecure host is tried with unverified TLS, then over plain HTTP, as Docker does. */
export async function hostFor(domain: string, insecure: InsecureHosts): Promise<Host> {
  if (domain === 'docker.io') {
    return { name: domain, isMirror: false, candidates: [{ origin: `https://${dockerHub}`, verify: true }] };
  }
  const isInsecure = await insecure.includes(domain);
  const https = { origin: `https://${domain}`, verify: !isInsecure };
  const candidates = isInsecure ? [https, { origin: `http://${domain}`, verify: false }] : [https];
  return { name: domain, isMirror: false, candidates };
}

/** A mirror is configured as a URL; its scheme is taken at its word. */
export async function mirrorHost(mirror: string, insecure: InsecureHosts): Promise<Host> {
  const url = new URL(mirror.includes('://') ? mirror : `https://${mirror}`);
  const verify = url.protocol === 'https:' && !(await insecure.includes(url.host));
  return { name: `mirror ${url.origin}`, isMirror: true, candidates: [{ origin: url.origin, verify }] };
}

type Send = (request: HttpRequest, manner: Manner) => Promise<HttpAnswer>;

const maxFound = 512;

/** Which candidate of a host answers `/v2/`, remembered. */
export class EndpointFinder {
  readonly #send: Send;
  readonly #found = new Map<string, { endpoint: Promise<Endpoint>; untilMs: number }>();
  /** Hosts that have answered at some time. */
  readonly #answered = new Set<string>();

  constructor(send: Send) {
    this.#send = send;
  }

  /** @throws RegistryError of the last candidate, in Docker's words. */
  async find(host: Host, signal: AbortSignal | undefined): Promise<Endpoint> {
    const known = this.#found.get(keyOf(host));
    if (known && known.untilMs > Date.now()) {
      try {
        return await known.endpoint;
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof RegistryError) throw error;
      }
    }
    const endpoint = this.#ping(host, signal);
    if (this.#found.size >= maxFound) this.#found.clear();
    this.#found.set(keyOf(host), { endpoint, untilMs: Date.now() + pingLifeMs });
    try {
      return await endpoint;
    } catch (error) {
      if (this.#found.get(keyOf(host))?.endpoint === endpoint) this.#found.delete(keyOf(host));
      throw error;
    }
  }

  /** An answer's challenge is newer than the ping's. */
  update(host: Host, endpoint: Endpoint): void {
    this.#found.set(keyOf(host), { endpoint: Promise.resolve(endpoint), untilMs: Date.now() + pingLifeMs });
  }

  forget(host: Host): void {
    this.#found.delete(keyOf(host));
  }

  async #ping(host: Host, signal: AbortSignal | undefined): Promise<Endpoint> {
    let failure: unknown;
    for (const candidate of host.candidates) {
      try {
        const url = urlOf(host, candidate, '/v2/');
        const request = { method: 'GET' as const, url, signal, ...(host.headers ? { headers: host.headers } : {}) };
        const answer = await this.#send(request, candidate);
        const challenges = answer.status === 401 ? parseChallenges(answer.header('www-authenticate')) : [];
        await answer.discard();
        this.#answered.add(host.name);
        return { ...candidate, challenges };
      } catch (error) {
        signal?.throwIfAborted();
        failure = error;
      }
    }
    throw this.#answered.has(host.name) ? failure : settled(failure);
  }
}

/** A host that never could be reached is an answer, not something to try many times; one that is away may come back. */
function settled(error: unknown): unknown {
  if (!(error instanceof RegistryError)) return error;
  return new RegistryError(error.kind, error.message, { retryable: false, cause: error });
}
