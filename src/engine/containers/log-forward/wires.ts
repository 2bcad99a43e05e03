import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect, isIP, type NetConnectOpts, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectSecurely, TLSSocket } from 'node:tls';
import { EngineError, isErrno, messageOf } from '#errdefs';
import { sys } from '#sys';

/**
 * A way for messages: each `send` is one, taken by the kernel when it resolves, or at once where it returns nothing. After a failure a new
 * wire is needed.
 */
export interface LogWire {
  /** A stream: what is sent together arrives as if it had been sent one by one. */
  readonly isStream: boolean;
  send(message: Uint8Array): Promise<void> | undefined;
  /** A send that is under way fails. */
  close(): void;
}

const dialTimeoutMs = 10_000;
/** The words Go has for them. */
const errnoWords: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  EACCES: 'permission denied',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ENOENT: 'no such file or directory',
  EPROTOTYPE: 'protocol wrong type for socket',
  ETIMEDOUT: 'connection timed out',
};
const unknownIssuer = ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN'];
const unknownIssuerCodes = [...unknownIssuer, 'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'];

/** @throws `unavailable` in dockerd's words. */
export async function dialUnixStream(path: string): Promise<LogWire> {
  return dialStream({ path }, `unix ${path}`);
}

export async function dialUnixDatagram(path: string): Promise<LogWire> {
  try {
    return new DatagramWire(sys.datagramConnect(path));
  } catch (error) {
    throw dialError(error, `unixgram ${path}`);
  }
}

export interface ServerPlace {
  readonly host: string;
  readonly port: number;
}

export async function dialTcp(place: ServerPlace, secure?: ConnectionOptions): Promise<LogWire> {
  const { address } = await resolve('tcp', place.host);
  const target = { host: address, port: place.port };
  const name = `tcp ${shown(address, place.port)}`;
  return dialStream(target, name, secure && { ...serverName(place.host), ...secure });
}

export async function dialUdp(place: ServerPlace): Promise<LogWire> {
  const { address, family } = await resolve('udp', place.host);
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  socket.on('error', () => {});
  try {
    socket.connect(place.port, address);
    await once(socket, 'connect');
    return new UdpWire(socket);
  } catch (error) {
    socket.close();
    throw dialError(error, `udp ${shown(address, place.port)}`);
  }
}

async function resolve(network: string, host: string): Promise<{ address: string; family: number }> {
  if (host === '') return { address: '127.0.0.1', family: 4 };
  try {
    return await lookup(host);
  } catch (cause) {
    throw new EngineError('unavailable', `dial ${network}: lookup ${host}: no such host`, { cause });
  }
}

/** TLS has no names that are addresses; the certificate is compared with the address then. */
function serverName(host: string): ConnectionOptions {
  return isIP(host) > 0 ? {} : { servername: host || 'localhost' };
}

const shown = (address: string, port: number) =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

async function dialStream(target: NetConnectOpts, name: string, secure?: ConnectionOptions): Promise<LogWire> {
  const socket: Socket = secure ? connectSecurely({ ...target, ...secure } as ConnectionOptions) : connect(target);
  try {
    const signal = AbortSignal.timeout(dialTimeoutMs);
    await once(socket, secure ? 'secureConnect' : 'connect', { signal });
    return new StreamWire(socket);
  } catch (error) {
    socket.on('error', () => {});
    socket.destroy();
    throw dialError(error, name);
  }
}

function dialError(cause: unknown, name: string): EngineError {
  const code = (cause as { code?: unknown }).code;
  const fail = (message: string) => new EngineError('unavailable', message, { cause });
  if (code === 'ABORT_ERR') return fail(`dial ${name}: i/o timeout`);
  if (typeof code === 'string' && unknownIssuerCodes.includes(code)) {
    return fail('tls: failed to verify certificate: x509: certificate signed by unknown authority');
  }
  const words = typeof code === 'string' ? errnoWords[code] : undefined;
  return fail(words === undefined ? messageOf(cause) : `dial ${name}: connect: ${words}`);
}

class StreamWire implements LogWire {
  readonly isStream = true;
  readonly #socket: Socket;
  #fault: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    const broken = (error?: Error) => {
      this.#fault ??= error ?? new Error('the server closed the connection');
    };
    socket.setKeepAlive(true);
    socket.on('error', broken).on('end', () => broken());
    socket.on('close', () => broken());
    // What the server says is of no interest, but its end is, which comes behind it.
    socket.resume();
  }

  send(message: Uint8Array): Promise<void> | undefined {
    if (this.#fault) throw this.#fault;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#socket.write(message, (error) => (error ? reject(error) : resolve()));
    if (!this.#isTaken()) return promise;
    promise.catch(() => {});
    return undefined;
  }

  /** Whether nothing waits here for the kernel. With TLS that is not known at once. */
  #isTaken(): boolean {
    const socket = this.#socket;
    return !(socket instanceof TLSSocket) && socket.errored === null && socket.writableLength === 0;
  }

  /** In order, so that what the kernel has of it still arrives; a send under way has nobody to read it. */
  close(): void {
    if (this.#fault || this.#socket.writableLength > 0) this.#socket.destroy();
    else this.#socket.end();
  }
}

class UdpWire implements LogWire {
  readonly isStream = false;
  readonly #socket: UdpSocket;

  constructor(socket: UdpSocket) {
    this.#socket = socket;
  }

  /** A refusal is news of the datagram before this one, which keeps this one from being sent. */
  async send(message: Uint8Array): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.#sendOnce(message);
      } catch (error) {
        if (!isErrno(error, 'ECONNREFUSED')) throw error;
        if (tries > 0) return;
      }
    }
  }

  #sendOnce(message: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(message, (error) => (error ? reject(error) : resolve()));
    });
  }

  close(): void {
    this.#socket.close();
  }
}

class DatagramWire implements LogWire {
  readonly isStream = false;
  readonly #fd: number;
  #isClosed = false;
  #wake: (() => void) | undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  send(message: Uint8Array): Promise<void> | undefined {
    return this.#take(message) ? undefined : this.#sendLater(message);
  }

  async #sendLater(message: Uint8Array): Promise<void> {
    do await this.#writable();
    while (!this.#take(message));
  }

  #take(message: Uint8Array): boolean {
    if (this.#isClosed) throw new Error('the socket was closed');
    return sys.writeSome(this.#fd, message) >= 0;
  }

  async #writable(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const watch = sys.whenWritable(this.#fd, resolve);
    watch.unref();
    this.#wake = resolve;
    await promise;
    watch.stop();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#wake?.();
    sys.close(this.#fd);
  }
}
