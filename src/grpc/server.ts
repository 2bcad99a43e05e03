import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { ConnectRouter } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';

/** Definitions, Dockerfiles and results travel inside messages; nothing that is larger does. */
const maxMessageBytes = 32 << 20;

/** One client has a handful of calls open; this many are no client's. */
const maxStreams = 1000;

/** Services on connections that somebody else accepted. Dispose ends those connections. */
export class GrpcServer implements Disposable {
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor(routes: (router: ConnectRouter) => void) {
    this.#server = createServer(
      { settings: { maxConcurrentStreams: maxStreams } },
      connectNodeAdapter({ routes, connect: false, grpcWeb: false, readMaxBytes: maxMessageBytes }),
    );
    this.#server.on('session', (session) => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
      session.on('error', () => session.destroy());
    });
    this.#server.on('sessionError', () => {});
  }

  /** Serves until the client goes away; the connection is the server's from here on. */
  async serve(socket: Duplex): Promise<void> {
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    this.#server.emit('connection', socket);
    await closed;
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions) session.destroy();
  }
}
