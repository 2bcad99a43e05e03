import { chmod, chown, lstat, readFile, unlink } from 'node:fs/promises';
import type { Server } from 'node:http';
import { connect, createServer, type Server as PlainServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { EngineError, isErrno } from '#errdefs';
import { FileSender } from './file-sender.ts';
import { createExchangeServer, type OpenExchanges, type ServerOptions } from './server.ts';

/** Where a server listens: a UNIX socket (0660, of `group` where that group exists) or a TCP address. */
export type ListenAddress =
  | { readonly kind: 'unix'; readonly path: string; readonly group?: string | undefined }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export interface Listener extends AsyncDisposable {
  /** As `-H` writes it: `unix:///run/x.sock`, `tcp://127.0.0.1:2375` with the port really bound. */
  readonly address: string;
  /** False when `group` was asked for and there is no such group. */
  readonly groupFound: boolean;
  /** Refuses new connections, waits up to `graceMs` for running requests, then cuts what is left and removes the socket file. */
  close(graceMs?: number): Promise<void>;
}

/**
 * Starts to listen.
 * @throws `conflict` when another process serves the address; a stale socket file is replaced, any other file is left alone.
 */
export async function listen(address: ListenAddress, options: ServerOptions): Promise<Listener> {
  const files = new FileSender();
  const { server, open } = createExchangeServer(options, files);
  if (address.kind === 'tcp') {
    await bind(server, { host: address.host, port: address.port }, `tcp://${address.host}:${address.port}`);
    return new HttpListener({ server, open, files }, tcpName(server), true);
  }
  await removeStaleSocket(address.path);
  await bind(server, { path: address.path }, `unix://${address.path}`);
  const groupFound = await shareWithGroup(address.path, address.group);
  return new HttpListener({ server, open, files }, `unix://${address.path}`, groupFound);
}

/**
 * Whether `listen` can succeed, for who has much to do before it. A stale socket file is removed.
 * @throws `conflict` as `listen` does.
 */
export async function requireFreeAddress(address: ListenAddress): Promise<void> {
  if (address.kind === 'unix') return await removeStaleSocket(address.path);
  const server = createServer();
  await bind(server, { host: address.host, port: address.port }, `tcp://${address.host}:${address.port}`);
  await new Promise((resolve) => server.close(resolve));
}

class HttpListener implements Listener {
  readonly #server: Server;
  readonly #open: OpenExchanges;
  readonly #files: FileSender;
  #closing: Promise<void> | undefined;
  readonly address: string;
  readonly groupFound: boolean;

  constructor(
    { server, open, files }: { server: Server; open: OpenExchanges; files: FileSender },
    address: string,
    groupFound: boolean,
  ) {
    this.#server = server;
    this.#open = open;
    this.#files = files;
    this.address = address;
    this.groupFound = groupFound;
  }

  close(graceMs = 0): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    // Node unlinks the socket file here: one that is there later belongs to the next daemon.
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    await Promise.race([this.#open.answered(), delay(graceMs, undefined, { ref: false })]);
    this.#open.cut();
    await closed;
    await this.#files[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function bind(
  server: PlainServer,
  where: { path: string } | { host: string; port: number },
  name: string,
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const kind = isErrno(cause, 'EADDRINUSE') ? 'conflict' : 'unavailable';
      reject(new EngineError(kind, `listen on ${name}: ${cause.message}`, { cause }));
    });
    server.listen(where, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

function tcpName(server: Server): string {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') return `tcp://${bound}`;
  return `tcp://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
}

/** A socket file that nobody answers is what a killed daemon leaves. One that answers is never taken. */
async function removeStaleSocket(path: string): Promise<void> {
  const before = await lstat(path, { bigint: true }).catch(ignoreMissing);
  if (before === undefined) return;
  if (!before.isSocket()) {
    throw new EngineError('conflict', `listen on unix://${path}: the file exists and is not a socket`);
  }
  if (await answers(path)) {
    throw new EngineError('conflict', `listen on unix://${path}: another process serves this socket`);
  }
  const after = await lstat(path, { bigint: true }).catch(ignoreMissing);
  if (after?.ino === before.ino) await unlink(path).catch(ignoreMissing);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    // A full backlog (EAGAIN) or a closed door (EACCES) is a live server too.
    probe.once('error', (error) => resolve(!isErrno(error, 'ECONNREFUSED') && !isErrno(error, 'ENOENT')));
  });
}

/** Node makes the socket under the umask, so until here only its owner can connect. */
async function shareWithGroup(path: string, group: string | undefined): Promise<boolean> {
  const gid = group === undefined ? undefined : await groupID(group);
  if (gid !== undefined) await chown(path, process.getuid?.() ?? 0, gid);
  await chmod(path, 0o660);
  return group === undefined || gid !== undefined;
}

/** Whether a socket can be shared with a group: by name, or by number, which always can. */
export async function hasGroup(group: string): Promise<boolean> {
  return (await groupID(group)) !== undefined;
}

async function groupID(group: string): Promise<number | undefined> {
  if (/^[0-9]+$/.test(group)) return Number(group);
  const table = await readFile('/etc/group', 'utf8').catch(() => '');
  for (const line of table.split('\n')) {
    const [name, , gid] = line.split(':');
    if (name === group && gid !== undefined && /^[0-9]+$/.test(gid)) return Number(gid);
  }
  return undefined;
}

function ignoreMissing(error: unknown): undefined {
  if (isErrno(error, 'ENOENT')) return undefined;
  throw error;
}
