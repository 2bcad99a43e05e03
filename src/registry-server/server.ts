import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EngineError } from '#errdefs';
import { log } from '#log';
import { openAccess } from './access.ts';
import { ApiError } from './api-error.ts';
import { dispatch } from './dispatch.ts';
import { type OpenRegistry, openRegistry } from './open-registry.ts';
import type { Limits, Retention } from './registry.ts';

const maxHeaderBytes = 64 << 10;

export interface RegistryServerOptions {
  /** A folder of the server's own; one server at a time. */
  readonly root: string;
  /** `host:port`, `:port` or `[::1]:port`; port 0 takes a free one. */
  readonly addr: string;
  readonly retention?: Partial<Retention>;
  readonly limits?: Partial<Limits>;
  /** Sees each request first and answers true when it has dealt with it: access control, logging. */
  readonly before?: (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;
}

export interface RegistryServer extends AsyncDisposable {
  /** `127.0.0.1:5000`: what a reference begins with. */
  readonly address: string;
  readonly port: number;
}

/** Serves a folder as a registry (distribution-spec v1.1) over plain HTTP until disposed; requests under way are cut then. */
export async function serveRegistry(options: RegistryServerOptions): Promise<RegistryServer> {
  const { host, port } = parseAddress(options.addr);
  await using opened = new AsyncDisposableStack();
  const registry: OpenRegistry = opened.use(await openRegistry(options.root, options));
  const server = createServer(
    { requestTimeout: 0, maxHeaderSize: maxHeaderBytes, noDelay: true },
    (request, response) => {
      void answer(request, response, async () => {
        if (await options.before?.(request, response)) return;
        await dispatch(registry, { request, response, url: urlOf(request), access: openAccess });
      });
    },
  );
  await listen(server, host, port);
  const held = opened.move();
  const bound = server.address() as AddressInfo;
  const shownHost = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return {
    address: `${shownHost}:${bound.port}`,
    port: bound.port,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      await held.disposeAsync();
    },
  };
}

/** The host is the one the client knows us by, for the commands that pages show. */
function urlOf(request: IncomingMessage): URL {
  const host = request.headers.host ?? '';
  return new URL(request.url ?? '/', `http://${/^[\w.:[\]-]+$/.test(host) ? host : 'registry.invalid'}`);
}

async function answer(request: IncomingMessage, response: ServerResponse, work: () => Promise<void>): Promise<void> {
  response.setHeader('Docker-Distribution-Api-Version', 'registry/2.0');
  try {
    await work();
  } catch (error) {
    if (request.destroyed && !request.complete) {
      response.destroy();
      return;
    }
    const refusal = refusalOf(error, request);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const body = refusal.body();
    // An unread body must not be taken for the next request.
    const close = request.complete ? {} : { Connection: 'close' };
    response.writeHead(refusal.status, {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
      ...close,
      ...refusal.headers,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }
}

function refusalOf(error: unknown, request: IncomingMessage): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof URIError || (error instanceof TypeError && /URL/.test(error.message))) {
    return new ApiError('NAME_INVALID', 'invalid repository name');
  }
  log.error('registry request failed', { error, method: request.method, url: request.url });
  return new ApiError('UNKNOWN', 'unknown error');
}

function parseAddress(addr: string): { host: string; port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(addr);
  const port = Number(match?.[3]);
  if (!match || port > 65535) {
    throw new EngineError('invalid-argument', `serve registry on ${addr}: want host:port`);
  }
  return { host: match[1] ?? match[2] ?? '', port };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new EngineError('unavailable', `serve registry on ${host}:${port}: ${cause.message}`, { cause }));
    });
    server.listen({ port, ...(host === '' ? {} : { host }) }, () => resolve());
  });
}
