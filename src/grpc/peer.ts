import { type ClientHttp2Session, connect, constants, type OutgoingHttpHeaders } from 'node:http2';
import type { Duplex } from 'node:stream';
import { Code, ConnectError, type Transport } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { EngineError } from '#errdefs';
import { PeerStream } from './peer-stream.ts';

export { type MessageReader, PeerStream } from './peer-stream.ts';

/** What may be under way to us at once: contexts come in packets of 32 kB, and each window costs a turn. */
const windowBytes = 8 << 20;

/** The patterns of a .dockerignore travel in headers; clients take no more. */
const maxHeaderBytes = 16 << 20;

/** Bounds answers that are one message: credentials, secrets. */
const maxMessageBytes = 8 << 20;

/** Calls to whoever serves at the other end of a connection. The connection is the peer's; `close` ends it. */
export class GrpcPeer {
  readonly transport: Transport;
  readonly #session: ClientHttp2Session;
  readonly #closed: Promise<void>;

  constructor(socket: Duplex) {
    this.#session = connect('http://peer', {
      createConnection: () => socket,
      settings: { initialWindowSize: windowBytes, enablePush: false },
      maxSendHeaderBlockLength: maxHeaderBytes,
    });
    this.#session.once('connect', () => {
      if (!this.#session.destroyed) this.#session.setLocalWindowSize(2 * windowBytes);
    });
    this.#session.on('error', () => socket.destroy());
    this.#closed = new Promise((resolve) => {
      this.#session.once('close', () => resolve());
      socket.once('close', () => this.close());
    });
    this.transport = createGrpcTransport({
      baseUrl: 'http://peer',
      readMaxBytes: maxMessageBytes,
      sessionManager: this.#manager(),
    });
  }

  /** Resolves when the connection is gone, whoever ended it. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /**
   * A call whose messages are bytes, for streams of many of them. A header with several values is sent as several headers.
   * @param path `/package.Service/Method`
   */
  open(path: string, headers: Readonly<Record<string, string | readonly string[]>>, signal: AbortSignal): PeerStream {
    if (this.#session.destroyed || this.#session.closed) throw gone();
    const request: OutgoingHttpHeaders = {
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    };
    for (const [name, value] of Object.entries(headers)) request[name] = typeof value === 'string' ? value : [...value];
    return new PeerStream(this.#session.request(request, { endStream: false }), signal);
  }

  /** Calls that wait for an answer fail. */
  close(): void {
    if (!this.#session.destroyed) this.#session.destroy(gone(), constants.NGHTTP2_NO_ERROR);
  }

  /** What the transport needs of the library's own manager of sessions. */
  #manager() {
    return {
      authority: 'http://peer',
      request: async (method: string, path: string, headers: OutgoingHttpHeaders, options: object) => {
        if (this.#session.destroyed || this.#session.closed) throw new ConnectError(gone().message, Code.Unavailable);
        return this.#session.request({ ...headers, ':method': method, ':path': path }, options);
      },
      notifyResponseByteRead: () => {},
      abort: () => this.close(),
    };
  }
}

function gone(): EngineError {
  return new EngineError('unavailable', 'the client of the build has gone away');
}
