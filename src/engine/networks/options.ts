import type { StringMap } from '#api-types';
import { EngineError } from '#errdefs';
import type { NetworkSpec } from '#network';

const prefix = 'com.docker.network.';
const names = {
  bridgeName: `${prefix}bridge.name`,
  icc: `${prefix}bridge.enable_icc`,
  masquerade: `${prefix}bridge.enable_ip_masquerade`,
  hostBinding: `${prefix}bridge.host_binding_ipv4`,
  mtu: `${prefix}driver.mtu`,
} as const;
const known: readonly string[] = Object.values(names);

type BridgeSettings = Pick<NetworkSpec, 'icc' | 'masquerade' | 'hostBindingIP' | 'bridgeName' | 'mtu'>;

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
  const mtu = options[names.mtu] === undefined ? undefined : integer(names.mtu, options[names.mtu]!);
  if (bridgeName.length > 15 || /[\s/]/.test(bridgeName)) {
    throw new EngineError('invalid-argument', `invalid bridge name: ${bridgeName}`);
  }
  return {
    icc: bool(names.icc, options[names.icc]),
    masquerade: bool(names.masquerade, options[names.masquerade]),
    hostBindingIP: hostBinding(options[names.hostBinding] ?? ''),
    ...(bridgeName === '' ? {} : { bridgeName }),
    ...(mtu ? { mtu } : {}),
  };
}

function hostBinding(address: string): string {
  if (address === '' || address === '0.0.0.0') return '';
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(address)) {
    throw new EngineError('invalid-argument', `failed to parse ${names.hostBinding} value: ${address}`);
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
