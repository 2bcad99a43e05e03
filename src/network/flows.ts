import { families } from './address.ts';
import type { NamespaceHelper } from './helper.ts';
import { decodeUdpFlows, deleteFlows, listFlows } from './netlink/index.ts';
import { Program } from './program.ts';
import type { Endpoint } from './types.ts';

/**
 * A tracked UDP flow keeps going where its first datagram went, whatever the rules say now: forgets those to the endpoint's host ports and those its
 * address answers. Without connection tracking there is nothing to forget.
 */
export async function forgetUdpFlows(helper: NamespaceHelper, endpoint: Endpoint): Promise<void> {
  const ports = new Set(endpoint.ports.filter(({ protocol }) => protocol === 'udp').map(({ hostPort }) => hostPort));
  const list = new Program();
  for (const family of families) list.sendFilter('list tracked flows', listFlows(family), { lenient: true });
  const stale = decodeUdpFlows(await helper.run(list)).filter(
    ({ sentToPort, answeredBy }) =>
      answeredBy === endpoint.ipAddress || answeredBy === endpoint.ipv6?.ipAddress || ports.has(sentToPort),
  );
  if (stale.length === 0) return;
  await helper.run(new Program().sendFilter('forget tracked flows', deleteFlows(stale), { lenient: true }));
}
