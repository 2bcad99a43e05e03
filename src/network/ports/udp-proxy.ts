import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import type { PortHold, ProxyTarget } from './holds.ts';

/** As long as the kernel remembers a two-way UDP flow, and as dockerd's proxy does. */
const idleMs = 90_000;
/** A sender that forges addresses must not take all our descriptors. */
const flowLimit = 512;

interface Flow {
  readonly upstream: Socket;
  timer: NodeJS.Timeout;
}

/** Holds a UDP port and carries datagrams the firewall did not send to the container already; one upstream socket per sender. */
export async function holdUdp(hostIP: string, hostPort: number, target?: ProxyTarget): Promise<PortHold> {
  const type = isIPv6(hostIP) ? 'udp6' : 'udp4';
  const socket = createSocket({ type, ipv6Only: type === 'udp6' });
  const flows = new Map<string, Flow>();
  socket.on('message', (datagram, sender) => {
    if (target) flowOf(socket, flows, sender, target)?.upstream.send(datagram, target.port, target.address);
  });
  const listening = once(socket, 'listening');
  socket.bind({ address: hostIP, port: hostPort, exclusive: true });
  try {
    await listening;
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.on('error', () => {});
  socket.unref();
  return { [Symbol.asyncDispose]: () => close(socket, flows) };
}

function flowOf(socket: Socket, flows: Map<string, Flow>, sender: RemoteInfo, target: ProxyTarget) {
  const key = `${sender.address} ${sender.port}`;
  const known = flows.get(key);
  if (known) {
    known.timer.refresh();
    return known;
  }
  if (flows.size >= flowLimit) return undefined;
  const upstream = createSocket(isIPv6(target.address) ? 'udp6' : 'udp4');
  const end = () => {
    if (flows.get(key)?.upstream !== upstream) return;
    flows.delete(key);
    clearTimeout(flow.timer);
    upstream.close();
  };
  const flow: Flow = { upstream, timer: setTimeout(end, idleMs).unref() };
  upstream.unref();
  upstream.on('error', end);
  upstream.on('message', (datagram, from) => {
    if (from.address !== target.address) return;
    flow.timer.refresh();
    socket.send(datagram, sender.port, sender.address);
  });
  flows.set(key, flow);
  return flow;
}

async function close(socket: Socket, flows: Map<string, Flow>): Promise<void> {
  for (const { upstream, timer } of flows.values()) {
    clearTimeout(timer);
    upstream.close();
  }
  flows.clear();
  const closed = once(socket, 'close');
  socket.close();
  await closed;
}
