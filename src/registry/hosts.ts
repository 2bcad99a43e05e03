import type { Challenge } from './challenge.ts';
import { parseChallenges } from './challenge.ts';
import { RegistryError } from './errors.ts';
import type { InsecureHosts } from './insecure.ts';
import type { HttpAnswer, HttpRequest } from './transport.ts';

const dockerHub = 'registry-1.docker.io';
/** A choice of endpoint is asked again after this. */
const pingLifeMs = 5 * 60_000;

/** Where a domain's API may be, best first. */
export interface Host {
  readonly name: string;
  readonly candidates: readonly Candidate[];
  /** A mirror is another party: it never sees the credentials of what it mirrors. */
  readonly isMirror: boolean;
}

interface Candidate {
  readonly origin: string;
  readonly verify: boolean;
}

/** A candidate that answered, with what it asks for. */
export interface Endpoint extends Candidate {
  readonly challenges: readonly Challenge[];
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

type Send = (request: HttpRequest, options: { verify: boolean }) => Promise<HttpAnswer>;

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
    const known = this.#found.get(host.name);
    if (known && known.untilMs > Date.now()) {
      try {
        return await known.endpoint;
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof RegistryError) throw error;
      }
    }
    const endpoint = this.#ping(host, signal);
    this.#found.set(host.name, { endpoint, untilMs: Date.now() + pingLifeMs });
    try {
      return await endpoint;
    } catch (error) {
      if (this.#found.get(host.name)?.endpoint === endpoint) this.#found.delete(host.name);
      throw error;
    }
  }

  /** An answer's challenge is newer than the ping's. */
  update(host: Host, endpoint: Endpoint): void {
    this.#found.set(host.name, { endpoint: Promise.resolve(endpoint), untilMs: Date.now() + pingLifeMs });
  }

  forget(host: Host): void {
    this.#found.delete(host.name);
  }

  async #ping(host: Host, signal: AbortSignal | undefined): Promise<Endpoint> {
    let failure: unknown;
    for (const candidate of host.candidates) {
      try {
        const url = new URL('/v2/', candidate.origin);
        const answer = await this.#send({ method: 'GET', url, signal }, { verify: candidate.verify });
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
