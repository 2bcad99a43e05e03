/**
 * The one table of a daemon, as text for `nft`. Applied again it replaces the rules in one transaction and keeps the published ports, which are
 * elements of its maps.
 */
import { type Subnet, subnetText } from '../address.ts';

/** Ports published on one host address, and on every address. */
export const portMaps = { specific: 'published', any: 'published_any' } as const;

/** One bridge and what may cross it. */
export interface Zone {
  readonly bridge: string;
  readonly subnet: Subnet;
  /** Nothing goes in or out, but for the host itself. */
  readonly internal: boolean;
  /** What leaves gets the host's address. */
  readonly masquerade: boolean;
}

export function baseRuleset(table: string, zones: readonly Zone[]): string {
  const target = 'type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service;';
  const chains: readonly Chain[] = [
    {
      // route_localnet on a bridge lets 127.0.0.1 reach containers; the other way must stay shut (CVE-2020-8558).
      name: 'guard',
      hook: 'type filter hook prerouting priority raw; policy accept;',
      rules: zones.map(({ bridge }) => `iifname "${bridge}" ip daddr 127.0.0.0/8 drop`),
    },
    {
      name: 'ports',
      rules: [
        `meta l4proto { tcp, udp, sctp } dnat ip to meta l4proto . ip daddr . th dport map @${portMaps.specific}`,
        `meta l4proto { tcp, udp, sctp } dnat ip to meta l4proto . th dport map @${portMaps.any}`,
      ],
    },
    {
      name: 'prerouting',
      hook: 'type nat hook prerouting priority dstnat; policy accept;',
      rules: ['fib daddr type local jump ports'],
    },
    {
      name: 'output',
      hook: 'type nat hook output priority -100; policy accept;',
      rules: ['fib daddr type local jump ports'],
    },
    {
      name: 'postrouting',
      hook: 'type nat hook postrouting priority srcnat; policy accept;',
      rules: zones.flatMap(masquerading),
    },
    {
      name: 'forward',
      hook: 'type filter hook forward priority filter; policy accept;',
      rules: [
        ...zones.flatMap(inwards),
        // Last, when every bridge has had its say on what comes to it: that keeps networks apart from each other.
        ...zones.map(({ bridge }) => `iifname "${bridge}" accept`),
      ],
    },
  ];
  return [
    `add table ip ${table}`,
    `add map ip ${table} ${portMaps.specific} { ${target} }`,
    `add map ip ${table} ${portMaps.any} { ${target.replace('ipv4_addr . ', '')} }`,
    ...chains.flatMap((chain) => chainText(table, chain)),
    '',
  ].join('\n');
}

function masquerading({ bridge, subnet, internal, masquerade }: Zone): string[] {
  const inside = subnetText(subnet);
  return [
    ...(masquerade && !internal ? [`ip saddr ${inside} oifname != "${bridge}" masquerade`] : []),
    `ip saddr 127.0.0.0/8 oifname "${bridge}" masquerade`,
    `ip saddr ${inside} oifname "${bridge}" ct status dnat masquerade`,
  ];
}

function inwards({ bridge, internal }: Zone): string[] {
  const within = `iifname "${bridge}" oifname "${bridge}" accept`;
  if (internal) return [within, `iifname "${bridge}" drop`, `oifname "${bridge}" drop`];
  return [
    within,
    `oifname "${bridge}" ct state established,related accept`,
    `oifname "${bridge}" ct status dnat accept`,
    `oifname "${bridge}" drop`,
  ];
}

interface Chain {
  readonly name: string;
  readonly hook?: string;
  readonly rules: readonly string[];
}

function chainText(table: string, { name, hook, rules }: Chain): string[] {
  return [
    `add chain ip ${table} ${name}${hook ? ` { ${hook} }` : ''}`,
    `flush chain ip ${table} ${name}`,
    ...rules.map((rule) => `add rule ip ${table} ${name} ${rule}`),
  ];
}
