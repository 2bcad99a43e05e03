import type { IPAMConfig, NetworkCreateConfig, NetworkCreated } from '#api-types';
import { EngineError } from '#errdefs';
import { type Family, familyOf, type NetworkInfo, type NetworkSpec, type PoolInfo, type PoolSpec } from '#network';
import type { EngineContext } from '../context.ts';
import { newID } from '../ids.ts';
import { formatNs, nowNs } from '../time.ts';
import { checkConfiguration, createConfiguration, holdConfiguration, withConfiguration } from './configurations.ts';
import { knownNetworks } from './find.ts';
import { checkIPAM } from './ipam-faults.ts';
import { enabledFamilies, gatewayModes, hostSettings, networkOptions } from './options.ts';
import { stackedOptions, stackedSettings } from './stacked-options.ts';
import type { StoredNetwork } from './store.ts';

const predefinedNames = ['bridge', 'host', 'none', 'default'];

/**
 * `POST /networks/create`: check, make the bridge, record.
 * @throws in dockerd's words: `invalid-argument`, `permission-denied` for predefined names, overlapping subnets and what a configuration has no room for, `conflict` for a name that is taken,
 * `not-found` for a driver or a configuration that is not here.
 */
export async function createNetwork(ctx: EngineContext, given: NetworkCreateConfig): Promise<NetworkCreated> {
  const { Name: name = '' } = given;
  checkName(name);
  if (given.ConfigOnly) checkConfiguration(given);
  using _held = await ctx.locks.acquire(`network name ${name}`);
  if (given.ConfigOnly) {
    refuseTaken(ctx, name);
    return await createConfiguration(ctx, given);
  }
  const configFrom = given.ConfigFrom?.Network;
  using _from = configFrom ? await holdConfiguration(ctx, configFrom) : undefined;
  const config = withDefaults(ctx, withConfiguration(ctx, given));
  checkDriver(config);
  checkIPAM(config);
  const stacked = stackedOptions(config);
  const options = stacked
    ? { ...stackedSettings(config.Options ?? {}), stacked }
    : networkOptions(config.Options ?? {});
  const families = familiesOf(config);
  refuseTaken(ctx, name);
  const spec = { id: newID(), name, internal: config.Internal ?? false, ...options, ...families };
  const created = formatNs(nowNs());
  const info = await ctx.networks.add({ ...spec, createdAt: new Date(created) });
  const body: StoredNetwork = {
    created,
    // A subnet that was chosen stays chosen.
    spec: { ...spec, ...chosen(info), ...(spec.ipv6 ? { ipv6: { ...spec.ipv6, ...chosen(info.ipv6) } } : {}) },
    ipam: storedIPAM(config, info),
    options: config.Options ?? null,
    labels: config.Labels ?? null,
    attachable: config.Attachable ?? false,
    ...(configFrom ? { configFrom } : {}),
  };
  try {
    await ctx.metadata.networks.put({ id: spec.id, name, body }, { durable: true });
  } catch (error) {
    await ctx.networks.remove(spec.id);
    throw error;
  }
  ctx.events.emit({ type: 'network', action: 'create', id: spec.id, attributes: { name, type: info.driver } });
  return { Id: spec.id, Warning: '' };
}

function refuseTaken(ctx: EngineContext, name: string): void {
  if (!knownNetworks(ctx).some((network) => network.name === name)) return;
  throw new EngineError('conflict', `network with name ${name} already exists`);
}

/** `--default-network-opt` of the daemon. */
function withDefaults(ctx: EngineContext, config: NetworkCreateConfig): NetworkCreateConfig {
  const defaults = ctx.options.network?.defaultOptions?.[config.Driver || 'bridge'];
  return defaults ? { ...config, Options: { ...defaults, ...config.Options } } : config;
}

function chosen({ subnet, gateway }: PoolInfo = {}): PoolSpec {
  return { ...(subnet ? { subnet } : {}), ...(gateway ? { gateway } : {}) };
}

/** What the user gave, IPv4 first, then what was chosen for the families he gave nothing for. */
function storedIPAM(config: NetworkCreateConfig, info: NetworkInfo): StoredNetwork['ipam'] {
  const given = (family: Family) => poolsOfFamily(config, family);
  const made = (family: Family, pool: PoolInfo | undefined): IPAMConfig[] => {
    if (given(family).length > 0 || !pool?.subnet) return [];
    return [{ Subnet: pool.subnet, ...(pool.gateway ? { Gateway: pool.gateway } : {}) }];
  };
  return {
    Driver: config.IPAM?.Driver || 'default',
    Options: config.IPAM?.Options ?? null,
    Config: [...given(4), ...given(6), ...made(4, info), ...made(6, info.ipv6)],
  };
}

function poolsOfFamily({ IPAM }: NetworkCreateConfig, family: Family): IPAMConfig[] {
  return (IPAM?.Config ?? []).filter(({ Subnet = '' }) => familyOf(Subnet) === family);
}

/** Pools of a family that is off are shown and mean nothing, as in dockerd. */
function familiesOf(config: NetworkCreateConfig): Pick<NetworkSpec, 'ipv4' | 'ipv6' | 'more'> & PoolSpec {
  const options = config.Options ?? {};
  const { ipv4, ipv6 } = enabledFamilies(options, config);
  if (!ipv4 && !ipv6) throw new EngineError('invalid-argument', 'IPv4 or IPv6 must be enabled');
  const isBridge = (config.Driver || 'bridge') === 'bridge';
  const modes = isBridge ? gatewayModes(options, config.Internal ?? false) : ({ ipv4: 'nat', ipv6: 'nat' } as const);
  const host = isBridge ? hostSettings(options) : { ipv4: {}, ipv6: {} };
  const [pool4, ...more4] = ipv4 ? poolsOfFamily(config, 4) : [];
  const [pool6, ...more6] = ipv6 ? poolsOfFamily(config, 6) : [];
  const more = [...more4, ...more6].map((pool) => ({ ...poolSpec(pool), subnet: pool.Subnet! }));
  return {
    ipv4,
    ...poolSpec(pool4),
    ...host.ipv4,
    mode: modes.ipv4,
    ...(ipv6 ? { ipv6: { ...poolSpec(pool6), ...host.ipv6, mode: modes.ipv6 } } : {}),
    ...(more.length > 0 ? { more } : {}),
  };
}

function poolSpec(pool: IPAMConfig | undefined): PoolSpec {
  if (!pool) return {};
  return {
    ...(pool.Subnet ? { subnet: pool.Subnet } : {}),
    ...(pool.Gateway ? { gateway: pool.Gateway } : {}),
    ...(pool.IPRange ? { ipRange: pool.IPRange } : {}),
    auxiliary: Object.values(pool.AuxiliaryAddresses ?? {}),
  };
}

function checkName(name: string): void {
  if (name.trim() === '') throw new EngineError('invalid-argument', 'invalid name: name is empty');
  if (predefinedNames.includes(name)) {
    throw new EngineError('permission-denied', `operation is not permitted on predefined ${name} network`);
  }
}

function checkDriver(config: NetworkCreateConfig): void {
  const driver = config.Driver || 'bridge';
  if (config.Ingress) throw new EngineError('permission-denied', 'Ingress network can only be global scope network');
  if (config.Scope === 'swarm') {
    throw new EngineError('permission-denied', 'cannot create a swarm scoped network when swarm is not active');
  }
  if (driver === 'host' || driver === 'null') {
    throw new EngineError('permission-denied', `only one instance of "${driver}" network is allowed`);
  }
  if (driver === 'overlay') {
    const advice = 'Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';
    throw new EngineError('unavailable', `This node is not a swarm manager. ${advice}`);
  }
  if (!['bridge', 'macvlan', 'ipvlan'].includes(driver))
    throw new EngineError('not-found', `plugin "${driver}" not found`);
}
