import type { IncomingMessage } from 'node:http';
import type { Engine } from '#api-types';
import { EngineError, type FaultPlace, isKind, kindOf, messageOf, placeOf, placeText } from '#errdefs';
import { type Exchange, isDisconnect, parseTarget, RouteTable, type ServerOptions } from '#http';
import { log } from '#log';
import { Call } from './call.ts';
import { isDockerCommand } from './docker-command.ts';
import { httpStatus } from './http-status.ts';
import { apiRoutes } from './routes.ts';
import { refuseUnsupportedQuery } from './unsupported.ts';
import { defaultVersion, negotiate, TooOldError } from './versions/index.ts';

export interface ApiOptions {
  readonly engine: Engine;
  /** For the `Server` header: `Wherry/0.1.0`. Clients parse `<name>/<version> (<os>)`. */
  readonly product: string;
  /** What the `Docker-Experimental` header says; the docker CLI then sends flags it holds back otherwise. */
  readonly experimental?: boolean;
  /** What the `Api-Version` header says and a path without a version means. */
  readonly version?: string;
}

const table = new RouteTable(apiRoutes);
/** Only these leave HTTP; an `Upgrade` elsewhere (h2c of a curious client) is answered as plain HTTP. */
const hijackPaths = /^(?:\/v[0-9.]+)?\/(?:containers\/[^?]+\/attach|exec\/[^?]+\/start|grpc|session)(?:\?|$)/;
const webSocketPaths = /^(?:\/v[0-9.]+)?\/containers\/[^?]+\/attach\/ws(?:\?|$)/;

/**
 * The Engine API over an engine: what `http.listen` takes.
 *
 * @example
 * await using listener = await listen({ kind: 'unix', path }, apiServer({ engine, product: 'Wherry/0.1.0' }));
 */
export function apiServer(options: ApiOptions): Pick<ServerOptions, 'handler' | 'mayUpgrade'> {
  return {
    handler: (exchange) => answer(options, exchange),
    mayUpgrade: ({ method, url = '' }: IncomingMessage) =>
      (method === 'POST' && hijackPaths.test(url)) || (method === 'GET' && webSocketPaths.test(url)),
  };
}

async function answer(options: ApiOptions, exchange: Exchange): Promise<void> {
  const { request, response } = exchange;
  const target = parseTarget(request.url ?? '/');
  if (target === undefined) {
    response.writeHead(400, { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' });
    response.end('400 Bad Request');
    return;
  }
  if (target.cleaned !== undefined) {
    response.writeHead(301, { Location: target.cleaned, 'Content-Length': 0 });
    response.end();
    return;
  }
  const match = table.find(request.method ?? '', target.path);
  if (match === undefined && request.method !== 'OPTIONS') {
    sendError(exchange, 404, 'page not found');
    return;
  }
  const told = options.version ?? defaultVersion;
  const headers = ['Api-Version', told, 'Ostype', 'linux', 'Server', `${options.product} (linux)`];
  try {
    const version = negotiate(target.version, told);
    headers.push('Docker-Experimental', String(options.experimental ?? false));
    const call = new Call(options.engine, exchange, {
      query: target.query,
      version,
      params: match?.params ?? {},
      headers,
    });
    if (match === undefined) {
      call.empty(200);
      return;
    }
    refuseUnsupportedQuery(`${match.route.method} ${match.route.pattern}`, call.query);
    await match.route.target(call);
  } catch (error) {
    refuse(exchange, headers, error);
  }
}

function refuse(exchange: Exchange, headers: readonly string[], error: unknown): void {
  const { request, response, signal } = exchange;
  // A response without a socket may only be waiting for the one before it on the connection.
  if (response.headersSent || exchange.hijacked || request.socket.destroyed) {
    const gone = signal.aborted || isDisconnect(error) || isKind(error, 'canceled');
    if (!gone) log.warn('answer broken off', { url: request.url, error: messageOf(error) });
    response.destroy();
    return;
  }
  const kind = kindOf(error);
  if (!(error instanceof EngineError) && !signal.aborted) {
    const stack = error instanceof Error ? error.stack : String(error);
    log.error('handler failed', { method: request.method, url: request.url, stack });
  }
  if (error instanceof TooOldError) {
    const own = ['Content-Type', 'text/plain; charset=utf-8', 'X-Content-Type-Options', 'nosniff'];
    response.writeHead(400, [...headers, ...own]);
    response.end(`${error.message}\n`);
    return;
  }
  const place = placeOf(error);
  // The docker command prints the message and nothing else of an answer; programs, which look for words in it, are given it bare.
  const message = place && isDockerCommand(request.headers) ? withPlace(messageOf(error), place) : messageOf(error);
  sendError(exchange, httpStatus[kind], message, { headers, fault: place });
}

function withPlace(message: string, place: FaultPlace): string {
  return `${message}\n\n${placeText(place).trimEnd()}`;
}

function sendError(
  { request, response }: Exchange,
  status: number,
  message: string,
  { headers = [], fault }: { headers?: readonly string[]; fault?: FaultPlace | undefined } = {},
): void {
  if (status === 304) {
    response.writeHead(304, [...headers]);
    response.end();
    return;
  }
  const body = `${JSON.stringify({ message, fault })}\n`;
  const own = ['Content-Type', 'application/json', 'Content-Length', String(Buffer.byteLength(body))];
  response.writeHead(status, [...headers, ...own]);
  response.end(request.method === 'HEAD' ? undefined : body);
}
