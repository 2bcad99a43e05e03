/** SCTP has no sockets in this process: the firewall leads to the container, or nothing does. */
import { existsSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { EngineError } from '#errdefs';
import type { Family } from '../address.ts';
import type { PortBinding } from '../types.ts';
import type { Way } from './publisher.ts';

/** A kernel that tracks SCTP has its time-outs. */
const trackingPath = '/proc/sys/net/netfilter/nf_conntrack_sctp_timeout_established';

/**
 * The ways that the firewall can lead. An address that was asked for must be among them.
 * @throws `failed-precondition` saying what is missing.
 */
export function translatedWays(
  ways: readonly Way[],
  { hostIP, containerPort }: PortBinding,
  translates: Readonly<Record<Family, boolean>>,
  tracksSCTP: () => boolean = () => existsSync(trackingPath),
): Way[] {
  const refuse = (reason: string) => {
    throw new EngineError('failed-precondition', `publishing ${containerPort}/sctp: ${reason}`);
  };
  const reasons = ways.map((way) => whyNot(way, translates));
  const led = ways.filter((_, at) => reasons[at] === undefined);
  if (hostIP !== '' || led.length === 0) {
    const reason = reasons.find((text) => text !== undefined);
    if (reason !== undefined) refuse(reason);
  }
  if (led.some(({ target }) => !target.routed) && !tracksSCTP()) {
    refuse('this kernel tracks no SCTP associations (CONFIG_NF_CT_PROTO_SCTP), so that none can be translated');
  }
  return led;
}

function whyNot({ hostIP, target }: Way, translates: Readonly<Record<Family, boolean>>): string | undefined {
  const family = isIPv6(hostIP) ? 6 : 4;
  if (!translates[family])
    return 'the firewall alone leads SCTP to containers, and it is left alone (--iptables=false)';
  if (hostIP === '::1') return 'the IPv6 loopback address cannot be translated';
  if (family === 6 && !isIPv6(target.address)) return `${hostIP} cannot be led to a container without IPv6`;
  return undefined;
}
