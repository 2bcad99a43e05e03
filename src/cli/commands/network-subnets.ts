import { BlockList, isIP } from 'node:net';
import type { IPAMConfig } from '#api-types';
import { EngineError } from '#errdefs';

export interface SubnetFlags {
  readonly subnets: readonly string[];
  readonly ranges: readonly string[];
  readonly gateways: readonly string[];
  readonly auxiliary: Readonly<Record<string, string>>;
}

/**
 * Gives each range, gateway and auxiliary address to the subnet that it lies in, as Docker's client does.
 * @throws `invalid-argument` in its words: overlaps, several for one subnet, none that fits.
 */
export function subnetConfigs({ subnets, ranges, gateways, auxiliary }: SubnetFlags): readonly IPAMConfig[] {
  if (subnets.length < ranges.length || subnets.length < gateways.length)
    throw invalid('every ip-range or gateway must have a corresponding subnet');
  const drafts = subnets.map((subnet) => ({ subnet, block: blockOf(subnet), config: draft(subnet) }));
  for (const [at, { subnet, block }] of drafts.entries()) {
    const other = drafts.slice(0, at).find((one) => contains(one.block, subnet) || contains(block, one.subnet));
    if (other) throw invalid('multiple overlapping subnet configuration is not supported');
  }
  const place = (address: string, what: string) => {
    const found = drafts.find(({ block }) => contains(block, address));
    if (!found) throw invalid(`no matching subnet for ${what} ${address}`);
    return found;
  };
  for (const range of ranges) {
    const { subnet, config } = place(range, 'range');
    if (config.IPRange)
      throw invalid(`cannot configure multiple ranges (${range}, ${config.IPRange}) on the same subnet (${subnet})`);
    config.IPRange = range;
  }
  for (const gateway of gateways) {
    const { subnet, config } = place(gateway, 'gateway');
    if (config.Gateway)
      throw invalid(
        `cannot configure multiple gateways (${gateway}, ${config.Gateway}) for the same subnet (${subnet})`,
      );
    config.Gateway = gateway;
  }
  for (const [name, address] of Object.entries(auxiliary))
    (place(address, 'aux-address').config.AuxiliaryAddresses ??= {})[name] = address;
  return drafts.map(({ config }) => config);
}

interface Draft {
  Subnet: string;
  IPRange?: string;
  Gateway?: string;
  AuxiliaryAddresses?: Record<string, string>;
}

function draft(subnet: string): Draft {
  return { Subnet: subnet };
}

/** Undefined for what is no subnet: the daemon says so. */
function blockOf(subnet: string): BlockList | undefined {
  const [address = '', bits] = subnet.split('/');
  const family = isIP(address);
  if (family === 0 || bits === undefined || !/^\d{1,3}$/.test(bits) || Number(bits) > (family === 4 ? 32 : 128))
    return undefined;
  const block = new BlockList();
  block.addSubnet(address, Number(bits), family === 4 ? 'ipv4' : 'ipv6');
  return block;
}

function contains(block: BlockList | undefined, address: string): boolean {
  const [plain = ''] = address.split('/');
  const family = isIP(plain);
  return family !== 0 && (block?.check(plain, family === 4 ? 'ipv4' : 'ipv6') ?? false);
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-argument', message);
}
