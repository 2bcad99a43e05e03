import type { Command } from '../command.ts';
import { forEachName, inspectEach } from '../names.ts';
import { keyedPairs, pairs } from '../pairs.ts';
import { formatTable } from '../table.ts';
import { parseFilters } from './images.ts';

export const volumeListCommand: Command = {
  name: 'volume ls',
  usage: '[OPTIONS]',
  summary: 'List volumes',
  aliases: ['volume list'],
  minArgs: 0,
  maxArgs: 0,
  flags: [
    { name: 'filter', short: 'f', type: 'list', value: 'filter', help: 'Provide filter values (e.g. "dangling=true")' },
    { name: 'json', type: 'toggle', help: 'Print as JSON' },
    { name: 'quiet', short: 'q', type: 'toggle', help: 'Only display volume names' },
  ],
  async run({ flags, engine, terminal }) {
    const { Volumes } = await engine().volumes.list({ filters: parseFilters(flags.list('filter')) });
    const volumes = Volumes ?? [];
    if (flags.on('json')) terminal.stdout.write(`${JSON.stringify(volumes, undefined, 2)}\n`);
    else if (flags.on('quiet')) terminal.stdout.write(volumes.map(({ Name }) => `${Name}\n`).join(''));
    else {
      const rows = volumes.map(({ Driver, Name }) => [Driver, Name]);
      terminal.stdout.write(formatTable(['DRIVER', 'VOLUME NAME'], rows));
    }
    return 0;
  },
};

export const volumeCreateCommand: Command = {
  name: 'volume create',
  usage: '[OPTIONS] [VOLUME]',
  summary: 'Create a volume',
  minArgs: 0,
  maxArgs: 1,
  flags: [
    { name: 'driver', short: 'd', type: 'string', help: 'Specify volume driver name (default "local")' },
    { name: 'label', type: 'list', help: 'Set metadata for a volume' },
    { name: 'opt', short: 'o', type: 'list', value: 'map', help: 'Set driver specific options' },
  ],
  async run({ flags, args, engine, terminal }) {
    const { Name } = await engine().volumes.create({
      ...(args[0] === undefined ? {} : { Name: args[0] }),
      Driver: flags.text('driver') ?? 'local',
      Labels: pairs(flags.list('label')),
      DriverOpts: keyedPairs(flags.list('opt'), '-o, --opt'),
    });
    terminal.stdout.write(`${Name}\n`);
    return 0;
  },
};

export const volumeRemoveCommand: Command = {
  name: 'volume rm',
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  summary: 'Remove one or more volumes',
  aliases: ['volume remove'],
  minArgs: 1,
  flags: [{ name: 'force', short: 'f', type: 'toggle', help: 'Force the removal of one or more volumes' }],
  run: (context) =>
    forEachName(context, (name) => context.engine().volumes.remove(name, { force: context.flags.on('force') })),
};

export const volumeInspectCommand: Command = {
  name: 'volume inspect',
  usage: 'VOLUME [VOLUME...]',
  summary: 'Display detailed information on one or more volumes',
  minArgs: 1,
  flags: [],
  run: (context) => inspectEach(context, (name) => context.engine().volumes.inspect(name)),
};
