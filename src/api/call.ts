import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Engine, Filters } from '#api-types';
import { EngineError, messageOf } from '#errdefs';
import { type Connection, type Exchange, type Method, Query, readBody, requestBody, writeWithPressure } from '#http';
import { type ByteSource, bytesOfPart, type Part, PartedSource } from '#streams';
import type { Decoder } from './decode.ts';
import { parseFilters } from './filters.ts';
import { decodeFirst, type JsonValue } from './go-json.ts';
import { versionBefore } from './versions/version.ts';

/** Container configurations with thousands of labels stay far below; nothing here needs more. */
const maxJsonBytes = 16 << 20;

export type Handler = (call: Call) => Promise<void>;
/** Method, pattern, handler. */
export type ApiRoute = readonly [method: Method, pattern: string, handler: Handler];

interface CallRequest {
  readonly query: string;
  readonly version: string;
  readonly params: Readonly<Record<string, string>>;
  /** Of every answer, as names and values in turn; the handler's own are put behind them. */
  readonly headers: string[];
}

/** One request as a handler sees it: decoded inputs, and the few ways the Engine API answers. */
export class Call {
  readonly engine: Engine;
  readonly query: Query;
  /** The API version the client speaks. */
  readonly version: string;
  readonly #params: Readonly<Record<string, string>>;
  readonly #exchange: Exchange;
  /** Names and values in turn, handed to Node in one piece: told one by one, it checks and sorts each. */
  readonly #headers: string[];

  constructor(engine: Engine, exchange: Exchange, request: CallRequest) {
    this.engine = engine;
    this.#exchange = exchange;
    this.query = Query.parse(request.query);
    this.version = request.version;
    this.#params = request.params;
    this.#headers = request.headers;
  }

  /** Fires when the client goes away. */
  get signal(): AbortSignal {
    return this.#exchange.signal;
  }

  /** A part of the path. */
  param(name: string): string {
    return this.#params[name] ?? '';
  }

  before(version: string): boolean {
    return versionBefore(this.version, version);
  }

  get headers(): IncomingHttpHeaders {
    return this.#exchange.request.headers;
  }

  header(name: string): string | undefined {
    const value = this.#exchange.request.headers[name.toLowerCase()];
    return Array.isArray(value) ? value[0] : value;
  }

  get filters(): Filters {
    return parseFilters(this.query.get('filters'));
  }

  /** Headers are out: a failure can no longer be a status. */
  get answered(): boolean {
    return this.#exchange.response.headersSent;
  }

  get upgrade(): boolean {
    return this.#exchange.upgrade;
  }

  /** The body as bytes; `canceled` when the client leaves in the middle. With `lend`, a chunk is valid until the next is asked for. */
  body(options: { lend?: boolean } = {}): ByteSource {
    return requestBody(this.#exchange.request, options);
  }

  get hasBody(): boolean {
    const { headers } = this.#exchange.request;
    return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  }

  /** A JSON body; no body is an empty object, as in dockerd. @throws `invalid-argument` in dockerd's words: wrong type, broken, or more than one value. */
  async json<T>(decoder: Decoder<T>): Promise<T> {
    if (this.hasBody) return decodeAs(decoder, await this.jsonValue());
    this.#checkContentType();
    return decodeAs(decoder, null);
  }

  /** The same where a body is optional. */
  async optionalJson<T>(decoder: Decoder<T>): Promise<T | undefined> {
    if (!this.hasBody) return undefined;
    return await this.json(decoder);
  }

  /** The same before it is decoded, where there has to be one. */
  async jsonValue(): Promise<JsonValue> {
    this.#checkContentType();
    const text = await this.bodyText();
    if (text.trim() === '') {
      throw new EngineError('invalid-argument', 'invalid JSON: got EOF while reading request body');
    }
    const { value, rest } = invalidJson(() => decodeFirst(text));
    if (rest.trim() !== '') throw new EngineError('invalid-argument', 'unexpected content after JSON');
    return value;
  }

  /** A body of JSON, whatever its type is said to be. */
  async bodyText(): Promise<string> {
    return (await readBody(this.body(), maxJsonBytes)).toString('utf8');
  }

  #checkContentType(): void {
    const type = this.header('Content-Type');
    if (!this.hasBody && type === undefined) return;
    const fault = mediaTypeFault(type ?? '');
    if (fault !== undefined) {
      throw new EngineError('invalid-argument', `malformed Content-Type header (${type ?? ''}): mime: ${fault}`);
    }
    const essence = type!.split(';')[0]!.trim().toLowerCase();
    if (essence !== 'application/json') {
      throw new EngineError(
        'invalid-argument',
        `unsupported Content-Type header (${type}): must be 'application/json'`,
      );
    }
  }

  /** An answer with a JSON body. */
  reply(status: number, value: unknown): void {
    this.replyText(status, jsonText(value));
  }

  /** The same of a body that was made before: {@link jsonText} of something. */
  replyText(status: number, text: string): void {
    this.#send(status, 'application/json', text);
  }

  text(status: number, body: string): void {
    this.#send(status, 'text/plain; charset=utf-8', body);
  }

  /** An answer with no body. */
  empty(status: number): void {
    this.#head(status, status === 204 || status === 304 ? {} : { 'Content-Length': '0' });
    this.#exchange.response.end();
  }

  #send(status: number, type: string, body: string): void {
    const { request, response } = this.#exchange;
    const length = request.method === 'HEAD' && status === 200 ? 0 : Buffer.byteLength(body);
    this.#head(status, { 'Content-Type': type, 'Content-Length': String(length) });
    response.end(body);
  }

  #head(status: number, headers: Readonly<Record<string, string>>): void {
    for (const name in headers) this.#headers.push(name, headers[name]!);
    this.#exchange.response.writeHead(status, this.#headers);
  }

  setHeader(name: string, value: string): void {
    this.#headers.push(name, value);
  }

  /** Sends status and headers now, before there is a body. */
  start(type: string, headers: Readonly<Record<string, string>> = {}): void {
    this.#head(200, { 'Content-Type': type, ...headers });
    this.#exchange.response.flushHeaders();
  }

  /** The same where dockerd names no type. */
  startUntyped(): void {
    this.#head(200, {});
    this.#exchange.response.flushHeaders();
  }

  async write(data: Uint8Array | string): Promise<void> {
    await writeWithPressure(this.#exchange.response, data);
  }

  async #writePart(part: Part): Promise<void> {
    if (part instanceof Uint8Array) return await this.write(part);
    if (await this.#exchange.sendFile(part)) return;
    for await (const chunk of bytesOfPart(part)) await this.write(chunk);
  }

  end(): void {
    this.#exchange.response.end();
  }

  /** Breaks the connection: what a client must not take for a whole body. */
  breakOff(): void {
    this.#exchange.response.destroy();
  }

  /**
   * Streams bytes. The first chunk is awaited before the status goes out, so that a call that fails at once fails with a status; a later failure breaks the
   * connection.
   */
  async stream(type: string, source: ByteSource, headers: Readonly<Record<string, string>> = {}): Promise<void> {
    const parts: AsyncIterable<Part> = source instanceof PartedSource ? source.parts : source;
    const iterator = parts[Symbol.asyncIterator]();
    try {
      let step = await iterator.next();
      this.start(type, headers);
      while (!step.done) {
        await this.#writePart(step.value);
        step = await iterator.next();
      }
    } finally {
      await iterator.return?.();
    }
    this.end();
  }

  /** All values of a header that came several times. */
  headerValues(name: string): readonly string[] {
    return this.#exchange.request.headersDistinct[name.toLowerCase()] ?? [];
  }

  /** Takes an upgraded connection out of HTTP, as a bare stream; the caller writes the status line. */
  takeSocket(): Duplex {
    return this.#exchange.takeSocket();
  }

  /** Takes the connection out of HTTP; the caller writes the status line. */
  hijack(): Connection {
    return this.#exchange.hijack();
  }
}

/** A body of JSON: it ends in a newline, as Go's encoder leaves it. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

/** Decodes a JSON value with Docker's prefix on what is wrong with it. */
export function decodeAs<T>(decoder: Decoder<T>, value: JsonValue): T {
  return invalidJson(() => decoder.decode(value === null ? Object.create(null) : value, ''));
}

function invalidJson<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new EngineError('invalid-argument', `invalid JSON: ${messageOf(cause)}`, { cause });
  }
}

/** What Go's mime.ParseMediaType says; undefined when nothing. */
function mediaTypeFault(type: string): string | undefined {
  const [essence = '', ...parameters] = type.split(';');
  const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+/;
  const trimmed = essence.trim();
  if (trimmed === '') return 'no media type';
  const [major = '', ...minor] = trimmed.split('/');
  if (token.exec(major)?.[0] !== major) return 'expected slash after first token';
  if (minor.length > 0 && token.exec(minor.join('/'))?.[0] !== minor.join('/')) {
    return minor[0] === '' ? 'expected token after slash' : 'unexpected content after media subtype';
  }
  const bad = parameters.find((one) => one.trim() !== '' && !/^\s*[^\s=;"]+=("[^"]*"|[^\s;"]+)\s*$/.test(one));
  return bad === undefined ? undefined : 'invalid media parameter';
}
