import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { delay } from '#concurrency';
import { EngineError } from '#errdefs';
import { answer } from './answer.ts';
import { openService, type ServiceOptions } from './service.ts';
import { readCertificate, reloadCertificate } from './tls.ts';

const maxHeaderBytes = 64 << 10;

export interface RegistryServerOptions extends ServiceOptions {
  /** `host:port`, `:port` or `[::1]:port`; port 0 takes a free one. */
  readonly addr: string;
}

export interface RegistryServer extends AsyncDisposable {
  /** `127.0.0.1:5000`: what a reference begins with. */
  readonly address: string;
  readonly port: number;
  /** Takes no new connections, waits up to `graceMs` for the requests under way, cuts the rest. */
  close(graceMs?: number): Promise<void>;
}

/** Serves a folder as a registry (distribution-spec v1.1) until disposed; requests under way are cut then. */
export async function serveRegistry(options: RegistryServerOptions): Promise<RegistryServer> {
  const { host, port } = parseAddress(options.addr);
  await using opened = new AsyncDisposableStack();
  const service = opened.use(await openService(options));
  const server = await createListener(options, (request, response) => void answer(service, request, response));
  const { tls } = options.config ?? {};
  if (tls) opened.use(await reloadCertificate(server as HttpsServer, tls));
  await listen(server, host, port);
  const held = opened.move();
  const bound = server.address() as AddressInfo;
  const shownHost = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  let closing: Promise<void> | undefined;
  const close = (graceMs: number) => (closing ??= shutDown(server, graceMs).then(() => held.disposeAsync()));
  return {
    address: `${shownHost}:${bound.port}`,
    port: bound.port,
    close: (graceMs = 0) => close(graceMs),
    [Symbol.asyncDispose]: () => close(0),
  };
}

async function createListener(options: RegistryServerOptions, handler: RequestListener): Promise<Server> {
  const settings = { requestTimeout: 0, maxHeaderSize: maxHeaderBytes, noDelay: true };
  const { tls } = options.config ?? {};
  if (!tls) return createServer(settings, handler);
  return createTlsServer({ ...settings, ...(await readCertificate(tls)), minVersion: 'TLSv1.2' }, handler);
}

/** No new connections; what is under way gets its time, then is cut. */
async function shutDown(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const abort = new AbortController();
  if (graceMs > 0) await Promise.race([closed, delay(graceMs, { signal: abort.signal }).catch(() => {})]);
  abort.abort();
  server.closeAllConnections();
  await closed;
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
