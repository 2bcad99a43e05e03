import type { IPAMConfig, NetworkCreateConfig, NetworkCreated, StringMap } from '#api-types';
import { EngineError } from '#errdefs';
import { isAddressIn, type NetworkSpec, subnetBase } from '#network';
import type { EngineContext } from '../context.ts';
import { newID } from '../ids.ts';
import { formatNs, nowNs } from '../time.ts';
import { networkOptions } from './options.ts';
import type { StoredNetwork } from './store.ts';

const predefinedNames = ['bridge', 'host', 'none', 'default'];

/**
 * `POST /networks/create`: check, make the bridge, record.
 * @throws in dockerd's words: `invalid-argument`, `permission-denied` for predefined names and overlapping subnets, `conflict` for a name that is taken,
 * `not-found` for a driver that is not here.
 */
export async function createNetwork(ctx: EngineContext, config: NetworkCreateConfig): Promise<NetworkCreated> {
  const { Name: name = '' } = config;
  checkName(name);
  checkDriver(config);
  checkIPAM(config);
  const options = networkOptions(config.Options ?? {});
  using _held = await ctx.locks.acquire(`network name ${name}`);
  if (ctx.networks.list().some((network) => network.name === name)) {
    throw new EngineError('conflict', `network with name ${name} already exists`);
  }
  const spec = { id: newID(), name, internal: config.Internal ?? false, ...options, ...poolOf(config) };
  const created = formatNs(nowNs());
  const info = await ctx.networks.add({ ...spec, createdAt: new Date(created) });
  const body: StoredNetwork = {
    created,
    // A subnet that was chosen stays chosen.
    spec: {
      ...spec,
      ...(info.subnet ? { subnet: info.subnet } : {}),
      ...(info.gateway ? { gateway: info.gateway } : {}),
    },
    ipam: storedIPAM(config, info),
    options: config.Options ?? null,
    labels: config.Labels ?? null,
    attachable: config.Attachable ?? false,
  };
  try {
    await ctx.metadata.networks.put({ id: spec.id, name, body }, { durable: true });
  } catch (error) {
    await ctx.networks.remove(spec.id);
    throw error;
  }
  ctx.events.emit({ type: 'network', action: 'create', id: spec.id, attributes: { name, type: 'bridge' } });
  return { Id: spec.id, Warning: '' };
}

function storedIPAM(config: NetworkCreateConfig, info: { subnet?: string; gateway?: string }): StoredNetwork['ipam'] {
  const chosen: IPAMConfig[] = [{ Subnet: info.subnet ?? '', Gateway: info.gateway ?? '' }];
  const given = (config.IPAM?.Config ?? []).filter(({ Subnet }) => Subnet);
  return {
    Driver: config.IPAM?.Driver || 'default',
    Options: config.IPAM?.Options ?? null,
    Config: given.length > 0 ? given : chosen,
  };
}

function poolOf({ IPAM }: NetworkCreateConfig): Pick<NetworkSpec, 'subnet' | 'gateway' | 'ipRange' | 'auxiliary'> {
  const pool = (IPAM?.Config ?? []).find(({ Subnet }) => Subnet);
  if (!pool) return {};
  return {
    ...(pool.Subnet ? { subnet: pool.Subnet } : {}),
    ...(pool.Gateway ? { gateway: pool.Gateway } : {}),
    ...(pool.IPRange ? { ipRange: pool.IPRange } : {}),
    auxiliary: Object.values(pool.AuxiliaryAddresses ?? {}),
  };
}

function checkName(name: string): void {
  if (name === '') throw new EngineError('invalid-argument', 'invalid name: name is empty');
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
  if (['macvlan', 'ipvlan', 'overlay'].includes(driver)) throw notYet('Driver', driver);
  if (driver !== 'bridge') throw new EngineError('not-found', `plugin "${driver}" not found`);
  if (config.EnableIPv4 === false && !config.EnableIPv6) {
    throw new EngineError('invalid-argument', 'IPv4 or IPv6 must be enabled');
  }
  if (config.EnableIPv6) throw notYet('EnableIPv6', true);
  if (config.ConfigOnly) throw notYet('ConfigOnly', true);
  if (config.ConfigFrom?.Network) throw notYet('ConfigFrom.Network', config.ConfigFrom.Network);
}

function notYet(name: string, value: unknown): EngineError {
  return new EngineError('not-implemented', `${name} is not supported yet: got ${JSON.stringify(value)}`);
}

function checkIPAM({ IPAM }: NetworkCreateConfig): void {
  const driver = IPAM?.Driver || 'default';
  if (driver !== 'default') throw new EngineError('not-found', `plugin "${driver}" not found`);
  const pools = IPAM?.Config ?? [];
  const faults = pools.flatMap(poolFaults);
  if (faults.length > 0) {
    const list = faults.length === 1 ? faults[0] : faults.map((fault) => `* ${fault}`).join('\n');
    throw new EngineError('invalid-argument', `invalid network config:\n${list}`);
  }
  if (pools.filter(({ Subnet }) => Subnet).length > 1) {
    throw new EngineError('permission-denied', "bridge driver doesn't support multiple subnets");
  }
}

function poolFaults(pool: IPAMConfig): string[] {
  const { Subnet = '', IPRange = '', Gateway = '' } = pool;
  if (Subnet === '') return [];
  const base = subnetBase(Subnet);
  if (base === undefined) return [`invalid subnet ${Subnet}: invalid CIDR block notation`];
  const faults: string[] = [];
  if (base !== Subnet) faults.push(`invalid subnet ${Subnet}: it should be ${base}`);
  if (IPRange !== '') faults.push(...rangeFaults(IPRange, base));
  if (Gateway !== '' && !isAddressIn(base, Gateway)) {
    faults.push(`invalid gateway ${Gateway}: parent subnet ${base} doesn't contain this address`);
  }
  for (const [name, address] of Object.entries(pool.AuxiliaryAddresses ?? ({} satisfies StringMap))) {
    if (isAddressIn(base, address)) continue;
    faults.push(`invalid auxiliary address ${name}: parent subnet ${base} doesn't contain this address`);
  }
  return faults;
}

function rangeFaults(range: string, subnet: string): string[] {
  const base = subnetBase(range);
  if (base === undefined) return [`invalid ip-range ${range}: invalid CIDR block notation`];
  const [address = '', bits = ''] = base.split('/');
  const faults = base === range ? [] : [`invalid ip-range ${range}: it should be ${base}`];
  if (Number(bits) < Number(subnet.split('/')[1]) || !isAddressIn(subnet, address)) {
    faults.push(`invalid ip-range ${range}: parent subnet ${subnet} doesn't contain ip-range`);
  }
  return faults;
}
