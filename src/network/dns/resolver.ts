/** The name server of one container: sockets inside its namespace, work in this process. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { log } from '#log';
import { addressBytes, parseAddress } from '../address.ts';
import type { NamespaceHelper } from '../helper.ts';
import { deleteTable, translateOutput } from '../netlink/index.ts';
import { Program } from '../program.ts';
import { answerLocally, encodeAnswer, failure, type NameView, parseQuery } from './answer.ts';
import { framed, frames } from './framing.ts';
import { askUpstream } from './upstream.ts';

/** Where containers find it, as in Docker's networks. */
export const resolverAddress = '127.0.0.11';
const dnsPort = 53;
const protocols = { udp: 17, tcp: 6 } as const;
const tableName = 'wherry-dns';
/** A container that asks faster than the servers answer gets failures, not our memory. */
const questionLimit = 256;
const idleMs = 10_000;

export interface ResolverOptions {
  readonly helper: NamespaceHelper;
  readonly namespacePath: string;
  readonly view: NameView;
  /** The servers outside, in the order they are asked; none where the container's networks lead nowhere. */
  readonly servers: () => readonly string[];
}

/**
 * Answers on 127.0.0.11:53 of a namespace. The sockets have ports of their own and port 53 is translated to them, so that a container can run a name server
 * itself. Opened again after a restart, it takes the place of the one that was.
 */
export class Resolver implements AsyncDisposable {
  readonly #options: ResolverOptions;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections = new Set<Socket>();
  readonly #closing = new AbortController();
  #questions = 0;

  private constructor(options: ResolverOptions, udp: UdpSocket, tcp: Server) {
    this.#options = options;
    this.#udp = udp;
    this.#tcp = tcp;
    udp.on('message', (bytes, sender) => {
      void this.#answer(bytes, 'udp').then(
        (answer) => answer && udp.send(answer, sender.port, sender.address, () => {}),
      );
    });
    tcp.on('connection', (socket: Socket) => void this.#converse(socket));
    udp.on('error', (error) => log.warn('resolver socket failed', { error }));
    tcp.on('error', (error) => log.warn('resolver socket failed', { error }));
  }

  static async open(options: ResolverOptions): Promise<Resolver> {
    const { helper, namespacePath } = options;
    const [udpHeld, tcpHeld] = await helper.openSockets(namespacePath, parseAddress(resolverAddress), ['udp', 'tcp']);
    const udp = createSocket('udp4');
    const tcp = createServer();
    // A socket that is bound already may be listening before the call returns.
    const listening = Promise.all([once(udp, 'listening'), once(tcp, 'listening')]);
    udp.bind({ fd: udpHeld!.descriptor });
    tcp.listen({ fd: tcpHeld!.descriptor });
    await listening;
    udp.unref();
    tcp.unref();
    const resolver = new Resolver(options, udp, tcp);
    try {
      await helper.run(translations(namespacePath, { udp: udpHeld!.port, tcp: tcpHeld!.port }));
    } catch (error) {
      await resolver[Symbol.asyncDispose]();
      throw error;
    }
    return resolver;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    for (const connection of this.#connections) connection.destroy();
    const closed = Promise.all([once(this.#udp, 'close'), once(this.#tcp, 'close')]);
    this.#udp.close();
    this.#tcp.close();
    await closed;
  }

  async #converse(socket: Socket): Promise<void> {
    this.#connections.add(socket);
    socket.setTimeout(idleMs, () => socket.destroy());
    socket.on('close', () => this.#connections.delete(socket));
    socket.on('error', () => socket.destroy());
    try {
      for await (const bytes of frames(socket)) {
        const answer = await this.#answer(bytes, 'tcp');
        if (answer) socket.write(framed(answer));
      }
      socket.end();
    } catch {
      // A peer that went away in the middle of a message; there is nobody to tell.
    }
  }

  /** Undefined for what is no query. Never rejects. */
  async #answer(bytes: Buffer, transport: 'udp' | 'tcp'): Promise<Buffer | undefined> {
    const query = parseQuery(bytes);
    if (!query || this.#closing.signal.aborted) return undefined;
    const known = answerLocally(query, this.#options.view);
    if (known) return encodeAnswer(known, query, transport);
    return (await this.#askOutside(bytes, transport)) ?? encodeAnswer(failure(query), query, transport);
  }

  async #askOutside(bytes: Buffer, transport: 'udp' | 'tcp'): Promise<Buffer | undefined> {
    if (this.#questions >= questionLimit) return undefined;
    this.#questions++;
    try {
      const servers = this.#options.servers();
      return await askUpstream(bytes, { servers, transport, signal: this.#closing.signal });
    } catch {
      return undefined;
    } finally {
      this.#questions--;
    }
  }
}

function translations(namespacePath: string, ports: Readonly<Record<keyof typeof protocols, number>>): Program {
  const address = addressBytes(parseAddress(resolverAddress));
  const items = (['udp', 'tcp'] as const).map((name) => ({
    protocol: protocols[name],
    address,
    from: dnsPort,
    to: ports[name],
  }));
  return new Program()
    .enter(namespacePath)
    .sendFilter('forget the resolver of before', deleteTable(tableName), { lenient: true })
    .sendFilter('lead names to the resolver', translateOutput(tableName, items));
}
