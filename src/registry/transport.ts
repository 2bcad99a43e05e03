import { BlockList, isIP } from 'node:net';
import type { Dispatcher } from 'undici';
import { EngineError } from '#errdefs';
import { type ByteSource, readAll } from '#streams';
import { secureContextFor } from './certificates.ts';
import { networkError } from './network-errors.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | ByteSource;
  readonly signal?: AbortSignal | undefined;
}

/** An answer whose body is read or discarded by whoever asked: one of `bytes`, `discard`, or iterating `body`. */
export interface HttpAnswer {
  readonly url: URL;
  readonly status: number;
  readonly statusText: string;
  header(name: string): string | undefined;
  readonly body: ByteSource;
  bytes(limitBytes: number, what: string): Promise<Buffer>;
  /** Gives the connection back (or closes it when much is left). */
  discard(): Promise<void>;
}

/** What a connection needs beyond the ordinary. Certificates and keys are PEM texts. */
export interface Connection {
  readonly ca: readonly string[];
  readonly clients: readonly (readonly [cert: string, key: string])[];
  /** In place of the environment's. */
  readonly proxy?: string;
  readonly dialTimeoutMs?: number;
}

export interface Manner {
  readonly verify: boolean;
  readonly connection?: Connection;
}

const connectTimeoutMs = 30_000;
/** A registry may move a large upload to its storage before it answers. */
const headersTimeoutMs = 300_000;
const defaultStallMs = 60_000;
const keepAliveMs = 15_000;
const maxHeaderBytes = 64 << 10;
/** An unread rest up to this size is read to keep the connection. */
const discardBytes = 64 << 10;

/** Connections to registries: one pool per host and manner. Loads the HTTP client at the first request. */
export class Transport implements AsyncDisposable {
  readonly #agents = new Map<string, Promise<Dispatcher>>();
  readonly #certsDir: string | undefined;
  readonly #userAgent: string;
  readonly #stallMs: number;
  #closed = false;

  constructor(options: { certsDir?: string | undefined; userAgent: string; stallMs?: number | undefined }) {
    this.#stallMs = options.stallMs ?? defaultStallMs;
    this.#certsDir = options.certsDir;
    this.#userAgent = options.userAgent;
  }

  /** One request, no redirects, no retries. @throws RegistryError in Go's words when no answer comes; the abort's reason. */
  async send(request: HttpRequest, manner: Manner): Promise<HttpAnswer> {
    const { method, url, signal } = request;
    signal?.throwIfAborted();
    const { request: dispatch } = await import('undici');
    const dispatcher = await this.#agent(url, manner);
    try {
      const answer = await dispatch(url, {
        method,
        dispatcher,
        headers: { 'user-agent': this.#userAgent, ...request.headers },
        body: (request.body as Dispatcher.DispatchOptions['body']) ?? null,
        signal: signal ?? null,
        headersTimeout: headersTimeoutMs,
        bodyTimeout: this.#stallMs,
      });
      return toAnswer(request, answer);
    } catch (cause) {
      signal?.throwIfAborted();
      if (cause instanceof EngineError) throw cause;
      throw networkError(method, url, cause);
    }
  }

  #agent(url: URL, { verify, connection }: Manner): Promise<Dispatcher> {
    if (this.#closed) throw new EngineError('canceled', 'registry client is closed');
    const key = `${url.protocol}//${url.host} ${verify} ${connection ? JSON.stringify(connection) : ''}`;
    let agent = this.#agents.get(key);
    if (!agent) {
      agent = this.#open(url, verify, connection);
      this.#agents.set(key, agent);
      agent.catch(() => this.#agents.delete(key));
    }
    return agent;
  }

  async #open(url: URL, verify: boolean, connection: Connection | undefined): Promise<Dispatcher> {
    const { Agent, ProxyAgent } = await import('undici');
    const connect = {
      timeout: connection?.dialTimeoutMs ?? connectTimeoutMs,
      ...(url.protocol === 'https:'
        ? {
            secureContext: await secureContextFor(url.host, {
              certsDir: this.#certsDir,
              verify,
              ...(connection ? { connection } : {}),
            }),
            rejectUnauthorized: verify,
          }
        : {}),
    };
    const shared = { keepAliveTimeout: keepAliveMs, maxHeaderSize: maxHeaderBytes, allowH2: false };
    const proxy = connection?.proxy ?? proxyFor(url);
    if (!proxy) return new Agent({ ...shared, connect });
    // Either way names are for the proxy to look up, as with Go.
    const uri = proxy.replace(/^socks5h:/i, 'socks5:');
    return new ProxyAgent({ ...shared, uri, requestTls: connect, connectTimeout: connect.timeout });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const agents = await Promise.allSettled(this.#agents.values());
    this.#agents.clear();
    await Promise.all(agents.map((agent) => (agent.status === 'fulfilled' ? agent.value.destroy() : undefined)));
  }
}

function toAnswer(request: HttpRequest, answer: Dispatcher.ResponseData): HttpAnswer {
  const body = answer.body;
  const source = guardedBody(request, body);
  return {
    url: request.url,
    status: answer.statusCode,
    statusText: answer.statusText,
    header(name) {
      const value = answer.headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    body: source,
    bytes: (limitBytes, what) => readAll(source, limitBytes, what),
    discard: () =>
      body.dump({ limit: discardBytes }).then(
        () => undefined,
        () => undefined,
      ),
  };
}

async function* guardedBody(request: HttpRequest, body: ByteSource): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (cause) {
    request.signal?.throwIfAborted();
    throw networkError(request.method, request.url, cause);
  }
}

/** `10.0.0.0/8` of an address; names are not resolved, as in Go. */
function isWithin(host: string, range: string): boolean {
  const [base = '', bits = ''] = range.split('/');
  const family = isIP(base);
  if (family === 0 || isIP(host) !== family || !/^\d{1,3}$/.test(bits) || Number(bits) > (family === 4 ? 32 : 128)) {
    return false;
  }
  const type = family === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(base, Number(bits), type);
  return list.check(host, type);
}

/** `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` as Go reads them: loopback is never proxied. */
export function proxyFor(url: URL, environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const read = (name: string) => environment[name] || environment[name.toLowerCase()] || undefined;
  const proxy = url.protocol === 'https:' ? read('HTTPS_PROXY') : read('HTTP_PROXY');
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (!proxy || host === 'localhost' || host === '::1' || /^127\./.test(host)) return undefined;
  const excluded = (read('NO_PROXY') ?? '').split(',').map((entry) => entry.trim().toLowerCase());
  const isExcluded = excluded.some((entry) => {
    if (entry === '') return false;
    if (entry === '*' || entry === host || entry === url.host) return true;
    if (entry.includes('/')) return isWithin(host, entry);
    return host.endsWith(entry.startsWith('.') ? entry : `.${entry}`);
  });
  if (isExcluded) return undefined;
  return proxy.includes('://') ? proxy : `http://${proxy}`;
}
