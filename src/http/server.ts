import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { messageOf } from '#errdefs';
import { log } from '#log';
import type { FilePart } from '#streams';
import { Connection } from './connection.ts';
import type { FileSender } from './file-sender.ts';

/** One request and its reply. Exactly one of: write to `response` and end it, or `hijack`. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Aborted when the client goes away before the reply is complete. */
  readonly signal: AbortSignal;
  /** Sends a run of a file behind what was written of the reply; false where the caller has to write it. @throws `canceled` when the client has gone. */
  sendFile(part: FilePart): Promise<boolean>;
  /** The client asked for `Connection: Upgrade` and the server lets this path have it. */
  readonly upgrade: boolean;
  /**
   * Takes the connection out of HTTP: the caller writes the status line itself and owns the connection. The request's body must have been read.
   */
  hijack(): Connection;
  /** The same of an upgraded request, as a bare stream for another protocol's library: what came behind the request is still in it. */
  takeSocket(): Duplex;
  /** The caller owns the connection: there is no reply to send any more. */
  readonly hijacked: boolean;
}

export type ExchangeHandler = (exchange: Exchange) => Promise<void>;

export interface ServerTls {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  /** With a CA, clients must show a certificate it signed (`--tlsverify`). */
  readonly ca?: string | Buffer | undefined;
}

export interface ServerOptions {
  readonly handler: ExchangeHandler;
  /** Which requests with an `Upgrade` header may leave HTTP; others are answered as if they had none. */
  readonly mayUpgrade: (request: IncomingMessage) => boolean;
  readonly tls?: ServerTls | undefined;
}

/** Loads and pulls may send a body for hours: no limit on a request as a whole, only on its headers. */
const headersTimeoutMs = 60_000;
/** Idle connections of Go clients are reused after long pauses. */
const keepAliveTimeoutMs = 300_000;
/** Registry credentials travel in headers. */
const maxHeaderBytes = 1 << 20;
const handshakeTimeoutMs = 15_000;
/** As Go: what is left of a body after an early reply is read up to here, then the connection is closed. */
const leftoverLimitBytes = 256 << 10;
const lingerMs = 500;

/** What a shutdown has to wait for, and what it has to cut. */
export class OpenExchanges {
  readonly #sockets = new Set<Socket>();
  readonly #answering = new Set<ServerResponse>();
  #wake: (() => void) | undefined;

  started(response: ServerResponse): void {
    this.#answering.add(response);
  }

  finished(response: ServerResponse): void {
    this.#answering.delete(response);
    if (this.#answering.size === 0) this.#wake?.();
  }

  connected(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  /** Cuts every connection: idle, answering, hijacked, or still in its TLS handshake. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Resolves once no request is being answered; hijacked connections do not count. */
  async answered(): Promise<void> {
    while (this.#answering.size > 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** What exchanges share. */
interface Kept {
  readonly open: OpenExchanges;
  readonly files: FileSender;
}

/** What Node's parser gives with a request that left HTTP. */
interface Upgraded {
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** A Node server that hands out {@link Exchange}s. */
export function createExchangeServer(
  options: ServerOptions,
  files: FileSender,
): { server: Server; open: OpenExchanges } {
  const open = new OpenExchanges();
  const kept = { open, files };
  const settings = {
    requestTimeout: 0,
    headersTimeout: headersTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    maxHeaderSize: maxHeaderBytes,
    noDelay: true,
    keepAlive: true,
    allowHalfOpen: true,
    shouldUpgradeCallback: options.mayUpgrade,
  };
  const server = options.tls ? createTlsServer({ ...settings, ...tlsSettings(options.tls) }) : createServer(settings);
  server.timeout = 0;
  server.on('connection', (socket: Socket) => open.connected(socket));
  server.on('request', (request, response) => {
    void serve(options.handler, new HttpExchange(request, response, kept));
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const response = responseOn(request, socket);
    void serve(options.handler, new HttpExchange(request, response, kept, { socket, head }));
  });
  server.on('checkContinue', (request, response) => {
    response.writeContinue();
    server.emit('request', request, response);
  });
  server.on('clientError', refuseGarbage);
  return { server, open };
}

function tlsSettings(tls: ServerTls) {
  const verify = tls.ca !== undefined;
  return {
    cert: tls.cert,
    key: tls.key,
    ...(verify ? { ca: tls.ca } : {}),
    requestCert: verify,
    rejectUnauthorized: verify,
    // With half-open sockets Node sees a client that gives up its handshake only by this.
    handshakeTimeout: handshakeTimeoutMs,
    minVersion: 'TLSv1.2' as const,
    ALPNProtocols: ['http/1.1'],
  };
}

async function serve(handler: ExchangeHandler, call: Exchange): Promise<void> {
  try {
    await handler(call);
  } catch (error) {
    // Handlers answer their own failures: what arrives here is a bug or a connection that broke under the answer.
    if (!call.signal.aborted) {
      log.error('serve request', { url: call.request.url, error: messageOf(error) });
    }
    call.response.destroy();
  } finally {
    dropLeftover(call.request, call.response);
  }
}

/** Made for every request: what few of them ask for, a signal or the connection, is made when it is asked for. */
class HttpExchange implements Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly #upgraded: Upgraded | undefined;
  readonly #open: OpenExchanges;
  readonly #files: FileSender;
  #abort: AbortController | undefined;
  #hijacked = false;
  #clientGone = false;

  constructor(request: IncomingMessage, response: ServerResponse, { open, files }: Kept, upgraded?: Upgraded) {
    this.request = request;
    this.response = response;
    this.#open = open;
    this.#files = files;
    this.#upgraded = upgraded;
    open.started(response);
    // Go says nothing of what HTTP/1.1 does unasked.
    if (response.shouldKeepAlive && request.httpVersionMinor > 0) response.removeHeader('Connection');
    const onClose = () => this.#closed();
    response.once('close', onClose);
    upgraded?.socket.once('close', onClose);
  }

  #closed(): void {
    this.#open.finished(this.response);
    if (this.#hijacked || this.response.writableFinished) return;
    this.#clientGone = true;
    this.#abort?.abort(clientGone());
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#clientGone) this.#abort.abort(clientGone());
    }
    return this.#abort.signal;
  }

  sendFile(part: FilePart): Promise<boolean> {
    return this.#files.append(this.response, part);
  }

  get upgrade(): boolean {
    return this.#upgraded !== undefined;
  }

  get hijacked(): boolean {
    return this.#hijacked;
  }

  hijack(): Connection {
    const socket = this.#take();
    if (!this.#upgraded) leaveHttp(this.request);
    return new Connection(socket, this.#upgraded?.head);
  }

  takeSocket(): Duplex {
    if (!this.#upgraded) throw new Error('take socket: the request was not upgraded');
    const socket = this.#take();
    if (this.#upgraded.head.byteLength > 0) socket.unshift(this.#upgraded.head);
    return socket;
  }

  #take(): Duplex {
    const socket = this.#upgraded?.socket ?? this.request.socket;
    this.#hijacked = true;
    this.response.detachSocket(socket as never);
    this.#open.finished(this.response);
    return socket;
  }
}

function clientGone(): DOMException {
  return new DOMException('the client has gone away', 'AbortError');
}

/** An upgraded request has no response of Node's making: this one serves refusals, and closes the connection behind them. */
function responseOn(request: IncomingMessage, socket: Duplex): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket as never);
  socket.on('error', () => response.destroy());
  response.once('finish', () => {
    response.detachSocket(socket as never);
    socket.end();
  });
  return response;
}

/**
 * The hijack of clients from before `Upgrade: tcp`: Node has no way out of HTTP for a plain request, so its listeners are taken off the socket. Adding the
 * new `data` listener afterwards makes Node give the socket back from its parser.
 */
function leaveHttp(request: IncomingMessage): void {
  const { socket } = request;
  for (const event of ['data', 'end', 'drain', 'error', 'timeout', 'close', 'pause', 'resume']) {
    socket.removeAllListeners(event);
  }
  socket.setTimeout(0);
}

function dropLeftover(request: IncomingMessage, response: ServerResponse): void {
  if (request.complete || request.destroyed) return;
  const close = () => {
    const timer = setTimeout(() => request.socket.destroy(), lingerMs);
    timer.unref();
    request.socket.once('close', () => clearTimeout(timer));
  };
  let leftBytes = leftoverLimitBytes;
  request.on('data', (chunk: Buffer) => {
    if (leftBytes < 0) return;
    leftBytes -= chunk.byteLength;
    if (leftBytes >= 0) return;
    request.pause();
    if (response.writableFinished) close();
    else response.once('finish', close);
  });
  request.on('error', () => {});
  request.resume();
}

function refuseGarbage(error: Error & { code?: string }, socket: Duplex): void {
  // Only a broken request gets an answer: a broken connection or TLS handshake has no way to carry one.
  if (!socket.writable || !(error.code?.startsWith('HPE_') || error.code === 'ERR_HTTP_REQUEST_TIMEOUT')) {
    socket.destroy();
    return;
  }
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${status}`);
}
