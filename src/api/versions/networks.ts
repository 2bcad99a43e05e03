import type { NetworkInspect, NetworkStatus } from '#api-types';
import type { Call } from '../call.ts';

declare global {
  interface JSON {
    /** ECMAScript 2026, JSON.parse source text access; TypeScript does not know it yet. */
    rawJSON(text: string): unknown;
  }
}

/** Up to 1.51 a row of a list had room for containers, always empty. */
export function networkSummariesFor(call: Call, networks: readonly NetworkInspect[]): readonly object[] {
  return networks.map(({ Status: _status, ...network }) => {
    if (call.before('1.52')) return network;
    const { Containers: _none, ...rest } = network;
    return rest;
  });
}

/** From 1.52 on it is told how many addresses are taken; what an inspect adds stands at the end. */
export function networkInspectFor(call: Call, network: NetworkInspect): object {
  const { Status, Containers, ...rest } = network;
  if (!call.before('1.52')) return { ...rest, Containers, ...(Status ? { Status: statusJson(Status) } : {}) };
  const { Status: _status, ...before } = network;
  return before;
}

/** Go's clients read 64 bits exactly, and JSON has no other number. */
function statusJson({ IPAM }: NetworkStatus): object {
  if (!IPAM.Subnets) return { IPAM };
  const subnets = Object.entries(IPAM.Subnets).map(([subnet, { IPsInUse, DynamicIPsAvailable }]) => {
    return [subnet, { IPsInUse: rawNumber(IPsInUse), DynamicIPsAvailable: rawNumber(DynamicIPsAvailable) }] as const;
  });
  return { IPAM: { Subnets: Object.fromEntries(subnets) } };
}

function rawNumber(count: number | bigint): unknown {
  return typeof count === 'bigint' ? JSON.rawJSON(String(count)) : count;
}
