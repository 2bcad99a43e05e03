import { isIP } from 'node:net';
import type { StringMap } from '#api-types';
import { EngineError } from '#errdefs';
import type { GatewayMode, NetworkSpec, PoolSpec } from '#network';

const prefix = 'com.docker.network.';
const names = {
  bridgeName: `${prefix}bridge.name`,
  icc: `${prefix}bridge.enable_icc`,
  masquerade: `${prefix}bridge.enable_ip_masquerade`,
  hostBinding: `${prefix}bridge.host_binding_ipv4`,
  mtu: `${prefix}driver.mtu`,
  mode4: `${prefix}bridge.gateway_mode_ipv4`,
  mode6: `${prefix}bridge.gateway_mode_ipv6`,
  ipv4: `${prefix}enable_ipv4`,
  ipv6: `${prefix}enable_ipv6`,
  linkPrefix: `${prefix}container_iface_prefix`,
  trusted: `${prefix}bridge.trusted_host_interfaces`,
  inhibit4: `${prefix}bridge.inhibit_ipv4`,
  host4: `${prefix}host_ipv4`,
  host6: `${prefix}host_ipv6`,
} as const;
const known: readonly string[] = Object.values(names);

type BridgeSettings = Pick<
  NetworkSpec,
  'icc' | 'masquerade' | 'hostBindingIP' | 'bridgeName' | 'mtu' | 'linkPrefix' | 'trustedLinks'
>;
const modes: readonly string[] = ['nat', 'nat-unprotected', 'routed', 'isolated'] satisfies GatewayMode[];

/**
 * The options of dockerd's bridge driver. Those of other names are the user's own and kept as they are; Docker's that are not honoured here are refused.
 * @throws `invalid-argument` in dockerd's words for a bad value.
 */
export function networkOptions(options: StringMap): BridgeSettings {
  for (const [name, value] of Object.entries(options)) {
    if (name.startsWith(prefix) && !known.includes(name) && value !== '') {
      throw new EngineError('not-implemented', `network option ${name} is not supported yet: got "${value}"`);
    }
  }
  const bridgeName = options[names.bridgeName] ?? '';
  checkBridgeName(bridgeName);
  return {
    icc: bool(names.icc, options[names.icc]),
    masquerade: bool(names.masquerade, options[names.masquerade]),
    hostBindingIP: hostBinding(options[names.hostBinding] ?? ''),
    ...(bridgeName === '' ? {} : { bridgeName }),
    ...bridgeMtu(options),
    ...linkPrefix(options[names.linkPrefix] ?? ''),
    ...trustedLinks(options[names.trusted] ?? ''),
  };
}

/** The kernel's words, as dockerd hands them on. */
function checkBridgeName(name: string): void {
  if (name.length > 15) throw new EngineError('internal', 'numerical result out of range');
  if (/[\s/:]/.test(name) || name === '.' || name === '..') throw new EngineError('internal', 'invalid argument');
}

const maxBridgeMtu = 65_535;

function bridgeMtu(options: StringMap): { mtu?: number } {
  const { mtu } = mtuOption(options);
  if (mtu !== undefined && mtu > maxBridgeMtu) throw new EngineError('internal', 'invalid argument');
  return mtu === undefined ? {} : { mtu };
}

/** `eth0:eth1`; links that are not there may come. What can be no link's name would be none in a rule either. */
function trustedLinks(text: string): { trustedLinks?: readonly string[] } {
  const links = text.split(':').filter((name) => name !== '');
  const bad = links.find((name) => name.length > 15 || /[\s/"*]/.test(name));
  if (bad !== undefined)
    throw new EngineError('invalid-argument', `invalid ${names.trusted}: ${bad} is no link's name`);
  return links.length === 0 ? {} : { trustedLinks: links };
}

/** A link's name is at most 15 characters: the prefix leaves room for its number. */
function linkPrefix(text: string): { linkPrefix?: string } {
  if (text === '') return {};
  if (text.length > 12 || /[\s/:]/.test(text)) {
    throw new EngineError('invalid-argument', `invalid ${names.linkPrefix}: ${text}`);
  }
  return { linkPrefix: text };
}

/** What the host is on a network's subnets: its address there, and the one that what leaves gets. */
export function hostSettings(options: StringMap): Record<'ipv4' | 'ipv6', Pick<PoolSpec, 'inhibited' | 'hostAddress'>> {
  const address = (name: string, family: number) => {
    const value = options[name] ?? '';
    if (value === '') return {};
    if (isIP(value) !== family) {
      throw new EngineError('invalid-argument', `failed to parse ${name} value: ${value} (nil ip)`);
    }
    return { hostAddress: value };
  };
  const inhibited = options[names.inhibit4] !== undefined && bool(names.inhibit4, options[names.inhibit4]);
  return {
    ipv4: { ...address(names.host4, 4), ...(inhibited ? { inhibited } : {}) },
    ipv6: address(names.host6, 6),
  };
}

/** Whether a network has IPv4 and IPv6: as the request says, or these options, which are older. */
export function enabledFamilies(options: StringMap, config: { EnableIPv4?: boolean; EnableIPv6?: boolean }) {
  const said = (name: string) => (options[name] === undefined ? undefined : bool(name, options[name]));
  return { ipv4: config.EnableIPv4 ?? said(names.ipv4) ?? true, ipv6: config.EnableIPv6 ?? said(names.ipv6) ?? false };
}

/** @throws `invalid-argument` in dockerd's words for no mode, and for `isolated` where others come in. */
export function gatewayModes(options: StringMap, internal: boolean): Record<'ipv4' | 'ipv6', GatewayMode> {
  const mode = (name: string): GatewayMode => {
    const value = options[name] ?? 'nat';
    if (!modes.includes(value)) {
      const reason = `unknown gateway mode ${value}`;
      throw new EngineError('invalid-argument', `failed to parse ${name} value: ${value} (${reason})`);
    }
    if (value === 'isolated' && !internal) {
      throw new EngineError('invalid-argument', "gateway mode 'isolated' can only be used for an internal network");
    }
    return value as GatewayMode;
  };
  return { ipv4: mode(names.mode4), ipv6: mode(names.mode6) };
}

export function mtuOption(options: StringMap): { mtu?: number } {
  const text = options[names.mtu];
  const mtu = text === undefined ? 0 : integer(names.mtu, text);
  if (mtu < 0) throw new EngineError('invalid-argument', `invalid MTU number: ${mtu}`);
  return mtu > 0 ? { mtu } : {};
}

function hostBinding(address: string): string {
  if (address === '' || address === '0.0.0.0') return '';
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(address)) {
    throw new EngineError('invalid-argument', `failed to parse ${names.hostBinding} value: ${address} (nil ip)`);
  }
  return address;
}

function bool(name: string, value = 'true'): boolean {
  if (/^(1|t|T|TRUE|true|True)$/.test(value)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(value)) return false;
  throw badValue(name, value, 'strconv.ParseBool');
}

function integer(name: string, value: string): number {
  if (!/^[+-]?\d+$/.test(value)) throw badValue(name, value, 'strconv.Atoi');
  return Number(value);
}

function badValue(name: string, value: string, parser: string): EngineError {
  const reason = `${parser}: parsing ${JSON.stringify(value)}: invalid syntax`;
  return new EngineError('invalid-argument', `failed to parse ${name} value: ${value} (${reason})`);
}
