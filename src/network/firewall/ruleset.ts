/**
 * The one table a daemon has in each family, as text for `nft`. Applied again it replaces the rules in one transaction and keeps the published ports, which
 * are elements of its maps.
 */
import { type Family, type Subnet, subnetText } from '../address.ts';
import type { GatewayMode } from '../types.ts';

/** Ports published on one host address, and on every address; addresses and ports that are open as they are; those that are open to one address. */
export const portMaps = { specific: 'published', any: 'published_any', open: 'opened', linked: 'linked' } as const;

/** nft's names of the families, and of their addresses. */
export const tableFamilies: Readonly<Record<Family, 'ip' | 'ip6'>> = { 4: 'ip', 6: 'ip6' };
const addressTypes: Readonly<Record<Family, string>> = { 4: 'ipv4_addr', 6: 'ipv6_addr' };

/** One bridge and what may cross it in one family. */
export interface Zone {
  readonly bridge: string;
  readonly subnet: Subnet;
  /** Nothing goes in or out, but for the host itself. */
  readonly internal: boolean;
  readonly mode: GatewayMode;
  /** Containers may speak to each other. */
  readonly icc: boolean;
  /** What leaves gets the host's address: that of the link it leaves by, or this one. */
  readonly masquerade: boolean;
  readonly hostAddress?: string;
  /** From where published ports are open at the container's own address as well: these links, or all that are no bridges of ours. */
  readonly direct?: readonly string[] | 'all';
}

export function baseRuleset(family: Family, table: string, zones: readonly Zone[]): string {
  const ip = tableFamilies[family];
  const address = addressTypes[family];
  const target = `type inet_proto . ${address} . inet_service : ${address} . inet_service;`;
  const chains: readonly Chain[] = [
    {
      name: 'guard',
      hook: 'type filter hook prerouting priority raw; policy accept;',
      // route_localnet on a bridge lets 127.0.0.1 reach containers; the other way must stay shut (CVE-2020-8558). IPv6 knows no such way.
      rules: family === 4 ? zones.map(({ bridge }) => `iifname "${bridge}" ip daddr 127.0.0.0/8 drop`) : [],
    },
    {
      name: 'ports',
      rules: [
        `meta l4proto { tcp, udp, sctp } dnat ${ip} to meta l4proto . ${ip} daddr . th dport map @${portMaps.specific}`,
        `meta l4proto { tcp, udp, sctp } dnat ${ip} to meta l4proto . th dport map @${portMaps.any}`,
      ],
    },
    {
      name: 'prerouting',
      hook: 'type nat hook prerouting priority dstnat; policy accept;',
      rules: [translated(family)],
    },
    {
      name: 'output',
      hook: 'type nat hook output priority -100; policy accept;',
      rules: [translated(family)],
    },
    {
      name: 'postrouting',
      hook: 'type nat hook postrouting priority srcnat; policy accept;',
      rules: zones.flatMap((zone) => masquerading(family, zone)),
    },
    {
      name: 'forward',
      hook: 'type filter hook forward priority filter; policy accept;',
      rules: [
        ...zones.flatMap((zone) => inwards(family, zone, zones)),
        // Last, when every bridge has had its say on what comes to it: that keeps networks apart from each other.
        ...zones.map(({ bridge }) => `iifname "${bridge}" accept`),
      ],
    },
  ];
  return [
    `add table ${ip} ${table}`,
    `add map ${ip} ${table} ${portMaps.specific} { ${target} }`,
    `add map ${ip} ${table} ${portMaps.any} { ${target.replace(`${address} . `, '')} }`,
    `add set ${ip} ${table} ${portMaps.open} { type inet_proto . ${address} . inet_service; }`,
    `add set ${ip} ${table} ${portMaps.linked} { type ${address} . ${address} . inet_proto . inet_service; }`,
    ...chains.flatMap((chain) => chainText(`${ip} ${table}`, chain)),
    '',
  ].join('\n');
}

/**
 * What is sent to this machine may be meant for a container. Not from or to addresses that lead nowhere else: IPv6's loopback cannot be translated, and a
 * link's own addresses are of that link; those are carried by the daemon.
 */
function translated(family: Family): string {
  if (family === 4) return 'fib daddr type local jump ports';
  return 'ip6 daddr != ::1 ip6 saddr != fe80::/10 fib daddr type local jump ports';
}

function masquerading(family: Family, { bridge, subnet, internal, masquerade, mode, hostAddress }: Zone): string[] {
  const source = `${tableFamilies[family]} saddr`;
  const inside = `${source} ${subnetText(subnet)}`;
  const isTranslated = mode === 'nat' || mode === 'nat-unprotected';
  return [
    ...(masquerade && !internal && isTranslated
      ? [`${inside} oifname != "${bridge}" ${hostAddress ? `snat to ${hostAddress}` : 'masquerade'}`]
      : []),
    ...(family === 4 ? [`${source} 127.0.0.0/8 oifname "${bridge}" masquerade`] : []),
    `${inside} oifname "${bridge}" ct status dnat masquerade`,
  ];
}

function inwards(family: Family, zone: Zone, zones: readonly Zone[]): string[] {
  const { bridge, internal } = zone;
  if (internal) return [...within(family, zone), `iifname "${bridge}" drop`, `oifname "${bridge}" drop`];
  return [
    ...within(family, zone),
    `oifname "${bridge}" ct state established,related accept`,
    `oifname "${bridge}" ct status dnat accept`,
    ...openings(family, zone, zones),
    `oifname "${bridge}" drop`,
  ];
}

/** The kernel keeps ports of a bridge apart; what comes by the host all the same may do what was published or linked. */
function within(family: Family, { bridge, icc }: Zone): string[] {
  const inside = `iifname "${bridge}" oifname "${bridge}"`;
  if (icc) return [`${inside} accept`];
  const ip = tableFamilies[family];
  return [
    `${inside} ct state established,related accept`,
    `${inside} ct status dnat accept`,
    `${inside} meta l4proto { tcp, udp, sctp } ${ip} saddr . ${ip} daddr . meta l4proto . th dport @${portMaps.linked} accept`,
    `${inside} drop`,
  ];
}

function openings(family: Family, { bridge, mode, direct }: Zone, zones: readonly Zone[]): string[] {
  const quoted = (names: readonly string[]) => `{ ${names.map((name) => `"${name}"`).join(', ')} }`;
  const bridges = quoted(zones.map((zone) => zone.bridge));
  if (mode === 'routed') {
    const ip = tableFamilies[family];
    return [
      `oifname "${bridge}" meta l4proto ${family === 4 ? 'icmp' : 'ipv6-icmp'} accept`,
      `oifname "${bridge}" meta l4proto . ${ip} daddr . th dport @${portMaps.open} accept`,
    ];
  }
  // Open to the world is not open to the other networks.
  if (mode === 'nat-unprotected') return [`iifname != ${bridges} oifname "${bridge}" accept`];
  if (!direct) return [];
  const from = direct === 'all' ? `!= ${bridges}` : quoted(direct);
  const open = `meta l4proto . ${tableFamilies[family]} daddr . th dport @${portMaps.open}`;
  return [`iifname ${from} oifname "${bridge}" meta l4proto { tcp, udp, sctp } ${open} accept`];
}

interface Chain {
  readonly name: string;
  readonly hook?: string;
  readonly rules: readonly string[];
}

function chainText(table: string, { name, hook, rules }: Chain): string[] {
  return [
    `add chain ${table} ${name}${hook ? ` { ${hook} }` : ''}`,
    `flush chain ${table} ${name}`,
    ...rules.map((rule) => `add rule ${table} ${name} ${rule}`),
  ];
}
