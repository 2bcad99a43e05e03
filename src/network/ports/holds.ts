/**
 * Host ports really held by this process, so that others see them taken. What arrives at a held socket is carried to the container: the firewall
 * takes IPv4 traffic before it gets here, so this is the way of IPv6 and of a machine whose firewall we leave alone.
 */
import type { Protocol } from './allocator.ts';
import { holdTcp } from './tcp-proxy.ts';
import { holdUdp } from './udp-proxy.ts';

/** Disposing closes the socket and what came through it. */
export type PortHold = AsyncDisposable;

export interface ProxyTarget {
  readonly address: string;
  readonly port: number;
}

/** Binds now; without a target, what arrives there goes nowhere. Rejects with the system's error. SCTP has no sockets here: the firewall alone serves it. */
export function holdPort(
  protocol: Protocol,
  hostIP: string,
  hostPort: number,
  target?: ProxyTarget,
): Promise<PortHold> {
  if (protocol === 'tcp') return holdTcp(hostIP, hostPort, target);
  if (protocol === 'udp') return holdUdp(hostIP, hostPort, target);
  return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() });
}
