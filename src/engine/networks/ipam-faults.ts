import type { IPAMConfig, NetworkCreateConfig } from '#api-types';
import { EngineError } from '#errdefs';
import { familyOf, hasHostBits, isAddressIn, subnetBase } from '#network';

/** @throws `invalid-argument` with every fault of every pool, in dockerd's words; `permission-denied` for two subnets of one family on a bridge. */
export function checkIPAM({ IPAM, Driver }: NetworkCreateConfig): void {
  const driver = IPAM?.Driver || 'default';
  if (driver !== 'default') throw new EngineError('not-found', `plugin "${driver}" not found`);
  const pools = IPAM?.Config ?? [];
  const faults = pools.flatMap(poolFaults);
  if (faults.length > 0) {
    const list = faults.length === 1 ? faults[0] : faults.map((fault) => `* ${fault}`).join('\n');
    throw new EngineError('invalid-argument', `invalid network config:\n${list}`);
  }
  for (const family of [4, 6]) {
    if (pools.filter(({ Subnet = '' }) => familyOf(Subnet) === family).length > 1) {
      if (Driver === 'macvlan' || Driver === 'ipvlan') continue;
      throw new EngineError('permission-denied', "bridge driver doesn't support multiple subnets");
    }
  }
}

function poolFaults(pool: IPAMConfig): string[] {
  const { Subnet = '', IPRange = '', Gateway = '', AuxiliaryAddresses } = pool;
  const base = subnetBase(Subnet);
  if (base === undefined) return [`invalid subnet ${Subnet}: invalid CIDR block notation`];
  const faults: string[] = [];
  if (hasHostBits(Subnet)) faults.push(`invalid subnet ${Subnet}: it should be ${base}`);
  if (IPRange !== '') faults.push(...rangeFaults(IPRange, base));
  if (Gateway !== '') faults.push(...addressFaults(`gateway ${Gateway}`, Gateway, base));
  for (const [name, address] of Object.entries(AuxiliaryAddresses ?? {})) {
    faults.push(...addressFaults(`auxiliary address ${name}`, address, base));
  }
  return faults;
}

function rangeFaults(range: string, subnet: string): string[] {
  const fault = (reason: string) => `invalid ip-range ${range}: ${reason}`;
  const base = subnetBase(range);
  if (base === undefined) return [fault('invalid CIDR block notation')];
  if (familyOf(base) !== familyOf(subnet)) return [fault(`parent subnet is an IPv${familyOf(subnet)} block`)];
  const [address = '', bits = ''] = base.split('/');
  const faults = hasHostBits(range) ? [fault(`it should be ${base}`)] : [];
  if (Number(bits) < Number(subnet.split('/')[1])) {
    faults.push(fault(`CIDR block is bigger than its parent subnet ${subnet}`));
  } else if (!isAddressIn(subnet, address)) {
    faults.push(fault(`parent subnet ${subnet} doesn't contain ip-range`));
  }
  return faults;
}

function addressFaults(what: string, address: string, subnet: string): string[] {
  if (familyOf(address) === undefined || address.includes('/')) return [`invalid ${what}: invalid address`];
  if (familyOf(address) !== familyOf(subnet))
    return [`invalid ${what}: parent subnet is an IPv${familyOf(subnet)} block`];
  return isAddressIn(subnet, address) ? [] : [`invalid ${what}: parent subnet ${subnet} doesn't contain this address`];
}
