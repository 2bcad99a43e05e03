import type { IPAMConfig, NetworkCreateConfig } from '#api-types';
import { isKind } from '#errdefs';
import type { Command } from '../command.ts';
import { errorText } from '../error-text.ts';
import type { Flags } from '../flags.ts';
import { inspectEach } from '../names.ts';
import { keyedPairs, pairs } from '../pairs.ts';
import { formatTable, shortID } from '../table.ts';
import { parseFilters } from './images.ts';
import { subnetConfigs } from './network-subnets.ts';

export const networkListCommand: Command = {
  name: 'network ls',
  usage: '[OPTIONS]',
  summary: 'List networks',
  aliases: ['network list'],
  minArgs: 0,
  maxArgs: 0,
  flags: [
    { name: 'filter', short: 'f', type: 'list', value: 'filter', help: 'Provide filter values (e.g. "driver=bridge")' },
    { name: 'json', type: 'toggle', help: 'Print as JSON' },
    { name: 'no-trunc', type: 'toggle', help: 'Do not truncate the output' },
    { name: 'quiet', short: 'q', type: 'toggle', help: 'Only display network IDs' },
  ],
  async run({ flags, engine, terminal }) {
    const found = await engine().networks.list({ filters: parseFilters(flags.list('filter')) });
    const networks = found.toSorted((a, b) => a.Name.localeCompare(b.Name, 'en', { numeric: true }));
    const id = ({ Id }: { Id: string }) => (flags.on('no-trunc') ? Id : shortID(Id));
    if (flags.on('json')) terminal.stdout.write(`${JSON.stringify(networks, undefined, 2)}\n`);
    else if (flags.on('quiet')) terminal.stdout.write(networks.map((network) => `${id(network)}\n`).join(''));
    else {
      const rows = networks.map((network) => [id(network), network.Name, network.Driver, network.Scope]);
      terminal.stdout.write(formatTable(['NETWORK ID', 'NAME', 'DRIVER', 'SCOPE'], rows));
    }
    return 0;
  },
};

export const networkCreateCommand: Command = {
  name: 'network create',
  usage: '[OPTIONS] NETWORK',
  summary: 'Create a network',
  minArgs: 1,
  maxArgs: 1,
  flags: [
    { name: 'attachable', type: 'toggle', help: 'Enable manual container attachment' },
    {
      name: 'aux-address',
      type: 'list',
      value: 'map',
      help: 'Auxiliary IPv4 or IPv6 addresses used by Network driver',
    },
    { name: 'config-from', type: 'string', help: 'The network from which to copy the configuration' },
    { name: 'config-only', type: 'toggle', help: 'Create a configuration only network' },
    { name: 'driver', short: 'd', type: 'string', help: 'Driver to manage the Network (default "bridge")' },
    { name: 'gateway', type: 'list', help: 'IPv4 or IPv6 Gateway for the master subnet' },
    { name: 'internal', type: 'toggle', help: 'Restrict external access to the network' },
    { name: 'ip-range', type: 'list', help: 'Allocate container ip from a sub-range' },
    { name: 'ipam-driver', type: 'string', help: 'IP Address Management Driver (default "default")' },
    { name: 'ipam-opt', type: 'list', value: 'map', help: 'Set IPAM driver specific options' },
    { name: 'ipv4', type: 'toggle', help: 'Enable or disable IPv4 address assignment (default true)' },
    { name: 'ipv6', type: 'toggle', help: 'Enable or disable IPv6 address assignment' },
    { name: 'label', type: 'list', help: 'Set metadata on a network' },
    { name: 'opt', short: 'o', type: 'list', value: 'map', help: 'Set driver specific options' },
    { name: 'scope', type: 'string', help: "Control the network's scope" },
    { name: 'subnet', type: 'list', help: 'Subnet in CIDR format that represents a network segment' },
  ],
  async run({ flags, args, engine, terminal }) {
    const { Id, Warning } = await engine().networks.create(createConfig(args[0]!, flags));
    if (Warning) terminal.stderr.write(`WARNING: ${Warning}\n`);
    terminal.stdout.write(`${Id}\n`);
    return 0;
  },
};

function createConfig(name: string, flags: Flags): NetworkCreateConfig {
  const from = flags.text('config-from');
  const Config: readonly IPAMConfig[] = subnetConfigs({
    subnets: words(flags, 'subnet'),
    ranges: words(flags, 'ip-range'),
    gateways: words(flags, 'gateway'),
    auxiliary: keyedPairs(flags.list('aux-address'), '--aux-address'),
  });
  const Options = keyedPairs(flags.list('ipam-opt'), '--ipam-opt');
  return {
    Name: name,
    // With a configuration to copy, the driver is that one's.
    Driver: flags.text('driver') ?? (from === undefined ? 'bridge' : ''),
    Internal: flags.on('internal'),
    Attachable: flags.on('attachable'),
    ConfigOnly: flags.on('config-only'),
    ...(from === undefined ? {} : { ConfigFrom: { Network: from } }),
    ...(flags.has('ipv4') ? { EnableIPv4: flags.on('ipv4') } : {}),
    ...(flags.has('ipv6') ? { EnableIPv6: flags.on('ipv6') } : {}),
    ...(flags.text('scope') === undefined ? {} : { Scope: flags.text('scope')! }),
    IPAM: { Driver: flags.text('ipam-driver') ?? 'default', Options, Config },
    Options: keyedPairs(flags.list('opt'), '-o, --opt'),
    Labels: pairs(flags.list('label')),
  };
}

/** Several in one value are parted by commas. */
function words(flags: Flags, name: string): readonly string[] {
  return flags.list(name).flatMap((value) => value.split(','));
}

export const networkInspectCommand: Command = {
  name: 'network inspect',
  usage: '[OPTIONS] NETWORK [NETWORK...]',
  summary: 'Display detailed information on one or more networks',
  minArgs: 1,
  flags: [{ name: 'verbose', short: 'v', type: 'toggle', help: 'Verbose output for diagnostics' }],
  run: (context) =>
    inspectEach(context, (name) => context.engine().networks.inspect(name, { verbose: context.flags.on('verbose') })),
};

export const networkRemoveCommand: Command = {
  name: 'network rm',
  usage: 'NETWORK [NETWORK...]',
  summary: 'Remove one or more networks',
  aliases: ['network remove'],
  minArgs: 1,
  flags: [{ name: 'force', short: 'f', type: 'toggle', help: 'Do not error if the network does not exist' }],
  async run({ args, flags, engine, terminal }) {
    let status = 0;
    for (const name of args) {
      try {
        await engine().networks.remove(name);
        terminal.stdout.write(`${name}\n`);
      } catch (error) {
        if (flags.on('force') && isKind(error, 'not-found')) continue;
        terminal.stderr.write(`${errorText(error)}\n`);
        status = 1;
      }
    }
    return status;
  },
};

export const networkConnectCommand: Command = {
  name: 'network connect',
  usage: '[OPTIONS] NETWORK CONTAINER',
  summary: 'Connect a container to a network',
  minArgs: 2,
  maxArgs: 2,
  flags: [
    { name: 'alias', type: 'list', help: 'Add network-scoped alias for the container' },
    { name: 'driver-opt', type: 'list', help: 'driver options for the network' },
    {
      name: 'gw-priority',
      type: 'int',
      help: 'Highest gw-priority provides the default gateway. Accepts positive and negative values.',
    },
    { name: 'ip', type: 'string', help: 'IPv4 address (e.g., "172.30.100.104")' },
    { name: 'ip6', type: 'string', help: 'IPv6 address (e.g., "2001:db8::33")' },
    { name: 'link', type: 'list', help: 'Add link to another container' },
    { name: 'link-local-ip', type: 'list', help: 'Add a link-local address for the container' },
  ],
  async run({ flags, args, engine }) {
    const [network = '', container = ''] = args;
    await engine().networks.connect(network, {
      Container: container,
      EndpointConfig: {
        IPAMConfig: {
          IPv4Address: flags.text('ip') ?? '',
          IPv6Address: flags.text('ip6') ?? '',
          LinkLocalIPs: words(flags, 'link-local-ip'),
        },
        Aliases: words(flags, 'alias'),
        Links: flags.list('link'),
        DriverOpts: keyedPairs(words(flags, 'driver-opt'), '--driver-opt'),
        GwPriority: flags.number('gw-priority') ?? 0,
      },
    });
    return 0;
  },
};

export const networkDisconnectCommand: Command = {
  name: 'network disconnect',
  usage: '[OPTIONS] NETWORK CONTAINER',
  summary: 'Disconnect a container from a network',
  minArgs: 2,
  maxArgs: 2,
  flags: [{ name: 'force', short: 'f', type: 'toggle', help: 'Force the container to disconnect from a network' }],
  async run({ flags, args, engine }) {
    await engine().networks.disconnect(args[0]!, { Container: args[1]!, Force: flags.on('force') });
    return 0;
  },
};
