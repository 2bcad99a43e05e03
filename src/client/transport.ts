import type { AuthConfig, CallOptions, Filters } from '#api-types';
import { EngineError, type ErrorKind, type FaultPlace, placeError } from '#errdefs';
import { type ClientResponse, type Connection, formatQuery, type HttpClient, readNdjson } from '#http';
import { type ByteSource, readAll } from '#streams';

export type QueryValues = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface CallSpec extends CallOptions {
  readonly query?: QueryValues;
  /** For a call that has come with a version newer than the one spoken. */
  readonly version?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it comes. */
  readonly body?: ByteSource | Uint8Array;
}

const maxDocumentBytes = 256 << 20;
const maxErrorBytes = 1 << 20;

/** Requests of one API version over one connection pool, with failures as `EngineError`s. */
export class Transport {
  readonly #http: HttpClient;
  readonly #prefix: string;

  constructor(http: HttpClient, version: string) {
    this.#http = http;
    this.#prefix = `/v${version}`;
  }

  /** The answer's headers and body, unread. @throws the kind that the status stands for, with the daemon's message. */
  async send(method: string, path: string, spec: CallSpec = {}): Promise<ClientResponse> {
    const response = await this.#http.request({
      method,
      path: `${this.#prefixOf(path, spec)}${path}${formatQuery(spec.query ?? {})}`,
      headers: { ...(spec.json === undefined ? {} : { 'Content-Type': 'application/json' }), ...spec.headers },
      body: spec.json === undefined ? spec.body : JSON.stringify(spec.json),
      signal: spec.signal,
    });
    if (response.status >= 400) throw await failure(response);
    if (response.status === 304) throw new EngineError('not-modified', '');
    return response;
  }

  #prefixOf(path: string, { version }: CallSpec): string {
    if (path.startsWith('/wherry/')) return '';
    return version === undefined ? this.#prefix : `/v${version}`;
  }

  /** The answer as JSON. The daemon is trusted to send what the API says. */
  async json<T>(method: string, path: string, spec: CallSpec = {}): Promise<T> {
    const response = await this.send(method, path, spec);
    return decode<T>(await readAll(response.body, maxDocumentBytes, 'answer'));
  }

  /** For calls whose answer has no body worth reading. */
  async call(method: string, path: string, spec: CallSpec = {}): Promise<void> {
    const response = await this.send(method, path, spec);
    await readAll(response.body, maxDocumentBytes, 'answer');
  }

  /** One JSON value per line; an in-band error ends the iteration by being thrown. */
  async *lines<T extends object>(method: string, path: string, spec: CallSpec = {}): AsyncGenerator<T> {
    const response = await this.send(method, path, spec);
    let place: FaultPlace | undefined;
    for await (const value of readNdjson(response.body)) {
      const line = value as Line;
      if (line.errorDetail || line.error) throw inBandError(line, place);
      place = line.fault;
      yield value as T;
    }
  }

  /** A raw connection, and whether its bytes are multiplexed. */
  async hijack(path: string, spec: CallSpec = {}): Promise<{ connection: Connection; multiplexed: boolean }> {
    const answer = await this.#http.hijack({
      method: 'POST',
      path: `${this.#prefix}${path}${formatQuery(spec.query ?? {})}`,
      headers: { 'Content-Type': 'application/json', ...spec.headers },
      body: spec.json === undefined ? undefined : JSON.stringify(spec.json),
      signal: spec.signal,
    });
    if ('refused' in answer) throw await failure(answer.refused);
    return {
      connection: answer.connection,
      multiplexed: answer.headers['content-type'] === 'application/vnd.docker.multiplexed-stream',
    };
  }
}

const kinds: Readonly<Record<number, ErrorKind>> = {
  400: 'invalid-argument',
  401: 'unauthenticated',
  403: 'permission-denied',
  404: 'not-found',
  409: 'conflict',
  501: 'not-implemented',
  503: 'unavailable',
};

/** What the daemon refused, in its words. */
export class DaemonError extends EngineError {
  constructor(kind: ErrorKind, message: string) {
    super(kind, message);
    this.name = 'DaemonError';
  }
}

async function failure(response: ClientResponse): Promise<DaemonError> {
  const text = (await readAll(response.body, maxErrorBytes, 'error answer')).toString('utf8').trim();
  const { message, fault } = errorBody(text);
  const error = new DaemonError(kinds[response.status] ?? 'unknown', message || `status ${response.status}`);
  if (fault) placeError(error, fault);
  return error;
}

function errorBody(text: string): { message: string; fault?: FaultPlace } {
  try {
    const { message = text, fault } = JSON.parse(text) as { message?: string; fault?: FaultPlace };
    return { message, ...(fault ? { fault } : {}) };
  } catch {
    return { message: text };
  }
}

/** A build step's exit code travels in `errorDetail.code`. */
export class InBandError extends EngineError {
  readonly code: number | undefined;

  constructor(message: string, code: number | undefined) {
    super('unknown', message);
    this.name = 'InBandError';
    this.code = code;
  }
}

interface Line {
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string; readonly code?: number };
  /** Where the error comes from that the next line is. */
  readonly fault?: FaultPlace;
}

function inBandError({ error, errorDetail }: Line, place: FaultPlace | undefined): InBandError {
  const inBand = new InBandError(errorDetail?.message ?? error ?? 'unknown error', errorDetail?.code);
  if (place) placeError(inBand, place);
  return inBand;
}

export function decode<T>(bytes: Buffer): T {
  try {
    return JSON.parse(bytes.toString('utf8')) as T;
  } catch (cause) {
    throw new EngineError('data-loss', `decode answer: ${bytes.toString('utf8', 0, 100)}`, { cause });
  }
}

/** Filters as the query parameter of list and prune calls; nothing when there are none. */
export function filtersQuery(filters: Filters | undefined): string | undefined {
  return filters && Object.keys(filters).length > 0 ? JSON.stringify(filters) : undefined;
}

/** `X-Registry-Auth`: always sent on pull and push, as Docker's client does. */
export function authHeader(auth: AuthConfig | undefined): Record<string, string> {
  return { 'X-Registry-Auth': Buffer.from(JSON.stringify(auth ?? {})).toString('base64url') };
}
