import { Agent, type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { EngineError, isErrno } from '#errdefs';
import { type ByteSource, toNodeReadable } from '#streams';
import { Connection, isDisconnect, wentAway } from './connection.ts';
import type { Endpoint } from './endpoint.ts';

export interface ClientRequestOptions {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Text and bytes are sent with their length, a source chunked and with backpressure. */
  readonly body?: string | Uint8Array | ByteSource | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ClientResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** One consumer; leaving it early closes the connection. A status of any kind has one. */
  readonly body: ByteSource;
}

export interface HijackedResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly connection: Connection;
}

const connectTimeoutMs = 30_000;
/** Below the server's, so that the client is the one who drops an idle connection. */
const idleTimeoutMs = 60_000;

/** HTTP over a UNIX socket, TCP or TLS, to one daemon. Connections are kept and reused. */
export class HttpClient implements Disposable {
  readonly #endpoint: Endpoint;
  readonly #agent: Agent | undefined;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    const settings = { keepAlive: true, timeout: idleTimeoutMs, scheduling: 'lifo' as const };
    this.#agent = isTls(endpoint) ? new TlsAgent(settings) : new Agent(settings);
  }

  /**
   * Sends a request and answers once the response's headers are there, while the body may still be on its way up.
   * @throws `unavailable` when nobody answers at the endpoint; `canceled` when the signal fires or the server hangs up.
   */
  async request(options: ClientRequestOptions): Promise<ClientResponse> {
    const outgoing = this.#open(options, this.#agent);
    const arrived = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve);
      outgoing.on('error', reject);
    });
    const sending = this.#send(outgoing, options.body);
    try {
      const response = await Promise.race([arrived, sending.then(() => arrived)]);
      // Who refuses a body may not have read it: the connection ends with the answer, and is not used again.
      if ((response.statusCode ?? 0) >= 400 && options.body !== undefined) outgoing.shouldKeepAlive = false;
      return { status: response.statusCode ?? 0, headers: flatten(response), body: bodyOf(response) };
    } catch (error) {
      outgoing.destroy();
      arrived.catch(() => {});
      throw this.#explain(error, options.signal);
    }
  }

  /**
   * Asks for a raw connection (`Upgrade: tcp`). A refusal comes back as `response`, with its body to read.
   * @throws as {@link request}.
   */
  async hijack(
    options: ClientRequestOptions & { readonly protocol?: string },
  ): Promise<HijackedResponse | { readonly refused: ClientResponse }> {
    const headers = { ...options.headers, Connection: 'Upgrade', Upgrade: options.protocol ?? 'tcp' };
    const outgoing = this.#open({ ...options, headers }, undefined);
    const arrived = new Promise<HijackedResponse | { refused: ClientResponse }>((resolve, reject) => {
      outgoing.once('upgrade', (response, socket: Duplex, head: Buffer) => {
        resolve({
          status: response.statusCode ?? 0,
          headers: flatten(response),
          connection: new Connection(socket, head),
        });
      });
      outgoing.once('response', (response) => {
        resolve({
          refused: {
            status: response.statusCode ?? 0,
            headers: flatten(response),
            body: bodyOf(response),
          },
        });
      });
      outgoing.on('error', reject);
    });
    try {
      await this.#send(outgoing, options.body);
      return await arrived;
    } catch (error) {
      outgoing.destroy();
      arrived.catch(() => {});
      throw this.#explain(error, options.signal);
    }
  }

  /** Drops idle connections. */
  [Symbol.dispose](): void {
    this.#agent?.destroy();
  }

  #open(options: ClientRequestOptions, agent: Agent | undefined): ClientRequest {
    const endpoint = this.#endpoint;
    const { body } = options;
    const known = body === undefined ? 0 : isSource(body) ? undefined : Buffer.byteLength(body);
    const needsLength = known !== undefined && (known > 0 || !['GET', 'HEAD'].includes(options.method));
    const settings = {
      method: options.method,
      path: options.path,
      headers: {
        Host: endpoint.kind === 'unix' ? 'api.moby.localhost' : `${endpoint.host}:${endpoint.port}`,
        ...(needsLength ? { 'Content-Length': String(known) } : {}),
        ...options.headers,
      },
      agent: agent ?? false,
      ...(options.signal ? { signal: options.signal } : {}),
    } as const;
    const outgoing =
      endpoint.kind === 'unix'
        ? plainRequest({ ...settings, socketPath: endpoint.path })
        : endpoint.tls === undefined
          ? plainRequest({ ...settings, host: endpoint.host, port: endpoint.port })
          : tlsRequest({
              ...settings,
              host: endpoint.host,
              port: endpoint.port,
              ...pick(endpoint.tls),
            });
    limitConnect(outgoing);
    return outgoing;
  }

  async #send(outgoing: ClientRequest, body: ClientRequestOptions['body']): Promise<void> {
    if (body === undefined || !isSource(body)) {
      outgoing.end(body);
      return;
    }
    try {
      await pipeline(toNodeReadable(body), outgoing);
    } catch (error) {
      // The server may refuse early and hang up on the rest: its answer says more than our broken pipe.
      if (!isDisconnect(error)) throw error;
    }
  }

  #explain(error: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted) return signal.reason;
    const endpoint = this.#endpoint;
    const where = endpoint.kind === 'unix' ? `unix://${endpoint.path}` : `tcp://${endpoint.host}:${endpoint.port}`;
    if (isErrno(error, 'EACCES')) {
      return new EngineError(
        'permission-denied',
        `permission denied while trying to connect to the docker API at ${where}`,
        { cause: error },
      );
    }
    const absent = ['ENOENT', 'ECONNREFUSED', 'ENOTFOUND', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENOTSOCK'];
    if (absent.some((code) => isErrno(error, code))) {
      const message = `Cannot connect to the Docker daemon at ${where}. Is the docker daemon running?`;
      return new EngineError('unavailable', message, { cause: error });
    }
    return isDisconnect(error) ? wentAway(error) : error;
  }
}

function isTls(endpoint: Endpoint): boolean {
  return endpoint.kind === 'tcp' && endpoint.tls !== undefined;
}

function pick(tls: NonNullable<Extract<Endpoint, { kind: 'tcp' }>['tls']>) {
  return {
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
    rejectUnauthorized: tls.verify,
  };
}

function isSource(body: string | Uint8Array | ByteSource): body is ByteSource {
  return typeof body === 'object' && Symbol.asyncIterator in body;
}

function limitConnect(outgoing: ClientRequest): void {
  outgoing.once('socket', (socket) => {
    if (!socket.connecting) return;
    const timer = setTimeout(() => {
      outgoing.destroy(Object.assign(new Error('connect timed out'), { code: 'ETIMEDOUT' }));
    }, connectTimeoutMs);
    const stop = () => clearTimeout(timer);
    socket.once('connect', stop);
    socket.once('close', stop);
  });
}

function flatten(response: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return headers;
}

async function* bodyOf(response: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    yield* response as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (isErrno(error, 'ECONNRESET') || isDisconnect(error)) throw wentAway(error);
    throw error;
  }
}
