/** Questions for the servers outside, passed on as they came (RFC 1035 §4.2). */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, isIPv6 } from 'node:net';
import { EngineError } from '#errdefs';
import { framed, frames } from './framing.ts';

const dnsPort = 53;
/** As long as dockerd waits for one server before it asks the next. */
const serverTimeoutMs = 4000;
const serverFailure = 2;
const refused = 5;

export interface UpstreamOptions {
  /** Addresses. */
  readonly servers: readonly string[];
  readonly transport: 'udp' | 'tcp';
  readonly signal: AbortSignal;
  readonly port?: number;
}

/**
 * The first useful answer of the servers, asked one after another over the way the question came; an answer that says a server failed counts only
 * when no other says more. Undefined when nobody answers.
 */
export async function askUpstream(query: Buffer, options: UpstreamOptions): Promise<Buffer | undefined> {
  const { port = dnsPort } = options;
  let last: Buffer | undefined;
  for (const server of options.servers) {
    const ask = options.transport === 'udp' ? askOverUdp : askOverTcp;
    const answer = await ask(
      query,
      { server, port },
      AbortSignal.any([options.signal, AbortSignal.timeout(serverTimeoutMs)]),
    ).catch(() => undefined);
    if (answer && ![serverFailure, refused].includes(answer[3]! & 15)) return answer;
    last = answer ?? last;
    options.signal.throwIfAborted();
  }
  return last;
}

interface Upstream {
  readonly server: string;
  readonly port: number;
}

async function askOverUdp(query: Buffer, { server, port }: Upstream, signal: AbortSignal): Promise<Buffer> {
  const socket = createSocket(isIPv6(server) ? 'udp6' : 'udp4');
  try {
    // Connected: datagrams from anybody else are not ours, and an unreachable server is known at once.
    socket.connect(port, server);
    await once(socket, 'connect', { signal });
    socket.send(query);
    while (true) {
      const [answer] = (await once(socket, 'message', { signal })) as [Buffer];
      if (answer.length >= 12 && answer.readUInt16BE(0) === query.readUInt16BE(0)) return answer;
    }
  } finally {
    socket.close();
  }
}

async function askOverTcp(query: Buffer, { server, port }: Upstream, signal: AbortSignal): Promise<Buffer> {
  const socket = connect({ host: server, port, signal });
  try {
    socket.write(framed(query));
    for await (const answer of frames(socket)) return answer;
    throw new EngineError('unavailable', `ask name server ${server}: it closed the connection`);
  } finally {
    socket.destroy();
  }
}
