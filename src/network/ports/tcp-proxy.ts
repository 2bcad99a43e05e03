import { once } from 'node:events';
import { connect, createServer, isIPv6, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { PortHold, ProxyTarget } from './holds.ts';

/**
 * Holds a TCP port and carries what arrives there to the container: connections the firewall did not send there already, which are those over
 * IPv6 and all of them when the firewall is not ours to write.
 */
export async function holdTcp(hostIP: string, hostPort: number, target?: ProxyTarget): Promise<PortHold> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    if (!target) return void socket.resetAndDestroy();
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    void carry(socket, target);
  });
  server.listen({ host: hostIP, port: hostPort, ipv6Only: isIPv6(hostIP), exclusive: true, backlog: 1024 });
  await once(server, 'listening');
  server.on('error', () => {});
  server.unref();
  return { [Symbol.asyncDispose]: () => close(server, open) };
}

async function carry(client: Socket, target: ProxyTarget): Promise<void> {
  const upstream = connect({ host: target.address, port: target.port, allowHalfOpen: true });
  client.on('close', () => upstream.destroy());
  try {
    await once(upstream, 'connect');
    await Promise.all([pipeline(client, upstream), pipeline(upstream, client)]);
  } catch {
    // A peer that went away ends the other side; there is nobody to tell.
    client.resetAndDestroy();
  } finally {
    upstream.destroy();
  }
}

async function close(server: Server, open: ReadonlySet<Socket>): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  for (const socket of open) socket.destroy();
  await closed;
}
