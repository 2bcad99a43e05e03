import type { Engine, Filters } from '#api-types';
import type { Command, CommandContext } from '../command.ts';
import { UsageError } from '../flags.ts';
import { type RemovedSpace, removing, spaceLines, sumOf } from '../removed-space.ts';
import { parseFilters } from './images.ts';

const forceFlag = { name: 'force', short: 'f', type: 'toggle', help: 'Do not prompt for confirmation' } as const;

function filterFlag(example: string) {
  return { name: 'filter', type: 'list', value: 'filter', help: `Provide filter values (e.g. "${example}")` } as const;
}

const untilFilter = filterFlag('until=<timestamp>');

/** What went, as docker lists it, and the space of it. */
interface Pruned {
  readonly title: string;
  readonly lines: readonly string[];
  readonly space: RemovedSpace;
}

/** With an action's name as the journal has it. */
async function pruneOne<T extends { readonly SpaceReclaimed: number }>(
  engine: Engine,
  { action, title }: { action: string; title: string },
  call: () => Promise<T>,
  lines: (answer: T) => readonly string[],
): Promise<Pruned> {
  const { answer, space } = await removing(engine, action, call, ({ SpaceReclaimed }) => SpaceReclaimed);
  return { title, lines: lines(answer), space };
}

const pruneContainers = (engine: Engine, filters: Filters) =>
  pruneOne(
    engine,
    { action: 'container prune', title: 'Deleted Containers' },
    () => engine.containers.prune({ filters }),
    ({ ContainersDeleted }) => ContainersDeleted ?? [],
  );

const pruneVolumes = (engine: Engine, filters: Filters) =>
  pruneOne(
    engine,
    { action: 'volume prune', title: 'Deleted Volumes' },
    () => engine.volumes.prune({ filters }),
    ({ VolumesDeleted }) => VolumesDeleted,
  );

const pruneImages = (engine: Engine, filters: Filters, all: boolean) =>
  pruneOne(
    engine,
    { action: 'image prune', title: 'Deleted Images' },
    () => engine.images.prune({ filters: { ...filters, dangling: [String(!all)] } }),
    ({ ImagesDeleted }) =>
      (ImagesDeleted ?? []).map((item) =>
        item.Deleted === undefined ? `untagged: ${item.Untagged}` : `deleted: ${item.Deleted}`,
      ),
  );

const pruneCache = (engine: Engine, filters: Filters, all: boolean) =>
  pruneOne(
    engine,
    { action: 'builder prune', title: 'Deleted build cache objects' },
    () => engine.pruneBuildCache({ all, filters }),
    ({ CachesDeleted }) => CachesDeleted ?? [],
  );

async function pruneNetworks(engine: Engine, filters: Filters): Promise<Pruned> {
  const { NetworksDeleted } = await engine.networks.prune({ filters });
  const space = { freedBytes: 0, trashedBytes: 0, undo: [] };
  return { title: 'Deleted Networks', lines: NetworksDeleted ?? [], space };
}

function show({ terminal }: CommandContext, pruned: readonly Pruned[]): void {
  for (const { title, lines } of pruned) {
    if (lines.length > 0) terminal.stdout.write(`${title}:\n${lines.map((line) => `${line}\n`).join('')}\n`);
  }
  terminal.stdout.write(spaceLines(sumOf(pruned.map(({ space }) => space))));
}

/** As docker asks: anything but y or yes is no, and no is no failure. */
async function confirmed({ flags, terminal, signal }: CommandContext, warning: string): Promise<boolean> {
  if (flags.on('force')) return true;
  const { confirm } = await import('../confirm.ts');
  return await confirm(terminal, `WARNING! This will remove ${warning}\nAre you sure you want to continue? [y/N] `, {
    signal,
  });
}

function filtersOf({ flags }: CommandContext): Filters {
  return parseFilters(flags.list('filter'));
}

export const containerPruneCommand: Command = {
  name: 'container prune',
  usage: '[OPTIONS]',
  summary: 'Remove all stopped containers',
  minArgs: 0,
  maxArgs: 0,
  flags: [untilFilter, forceFlag],
  async run(context) {
    if (await confirmed(context, 'all stopped containers.'))
      show(context, [await pruneContainers(context.engine(), filtersOf(context))]);
    return 0;
  },
};

export const imagePruneCommand: Command = {
  name: 'image prune',
  usage: '[OPTIONS]',
  summary: 'Remove unused images',
  minArgs: 0,
  maxArgs: 0,
  flags: [
    { name: 'all', short: 'a', type: 'toggle', help: 'Remove all unused images, not just dangling ones' },
    untilFilter,
    forceFlag,
  ],
  async run(context) {
    const all = context.flags.on('all');
    const warning = all ? 'all images without at least one container associated to them.' : 'all dangling images.';
    if (await confirmed(context, warning))
      show(context, [await pruneImages(context.engine(), filtersOf(context), all)]);
    return 0;
  },
};

export const volumePruneCommand: Command = {
  name: 'volume prune',
  usage: '[OPTIONS]',
  summary: 'Remove unused local volumes',
  minArgs: 0,
  maxArgs: 0,
  flags: [
    { name: 'all', short: 'a', type: 'toggle', help: 'Remove all unused volumes, not just anonymous ones' },
    filterFlag('label=<label>'),
    forceFlag,
  ],
  async run(context) {
    const all = context.flags.on('all');
    const kind = all ? 'local volumes' : 'anonymous local volumes';
    if (await confirmed(context, `${all ? 'all ' : ''}${kind} not used by at least one container.`)) {
      const filters = { ...filtersOf(context), ...(all ? { all: ['true'] } : {}) };
      show(context, [await pruneVolumes(context.engine(), filters)]);
    }
    return 0;
  },
};

export const networkPruneCommand: Command = {
  name: 'network prune',
  usage: '[OPTIONS]',
  summary: 'Remove all unused networks',
  minArgs: 0,
  maxArgs: 0,
  flags: [untilFilter, forceFlag],
  async run(context) {
    if (!(await confirmed(context, 'all custom networks not used by at least one container.'))) return 0;
    const { title, lines } = await pruneNetworks(context.engine(), filtersOf(context));
    if (lines.length > 0) context.terminal.stdout.write(`${title}:\n${lines.map((line) => `${line}\n`).join('')}\n`);
    return 0;
  },
};

export const systemPruneCommand: Command = {
  name: 'system prune',
  usage: '[OPTIONS]',
  summary: 'Remove unused data',
  minArgs: 0,
  maxArgs: 0,
  flags: [
    { name: 'all', short: 'a', type: 'toggle', help: 'Remove all unused images not just dangling ones' },
    filterFlag('label=<key>=<value>'),
    forceFlag,
    { name: 'volumes', type: 'toggle', help: 'Prune anonymous volumes' },
  ],
  async run(context) {
    const all = context.flags.on('all');
    const volumes = context.flags.on('volumes');
    const filters = filtersOf(context);
    if (volumes && filters['until'])
      throw new UsageError('ERROR: The "until" filter is not supported with "--volumes"', 1);
    if (!(await confirmed(context, systemWarning({ all, volumes, filters: context.flags.list('filter') })))) return 0;
    const engine = context.engine();
    show(context, [
      await pruneContainers(engine, filters),
      await pruneNetworks(engine, filters),
      ...(volumes ? [await pruneVolumes(engine, filters)] : []),
      await pruneImages(engine, filters, all),
      await pruneCache(engine, filters, all),
    ]);
    return 0;
  },
};

function systemWarning({ all, volumes, filters }: { all: boolean; volumes: boolean; filters: readonly string[] }) {
  const kinds = [
    'all stopped containers',
    'all networks not used by at least one container',
    ...(volumes ? ['all anonymous volumes not used by at least one container'] : []),
    all ? 'all images without at least one container associated to them' : 'all dangling images',
    all ? 'all build cache' : 'unused build cache',
  ];
  const chosen = filters.length > 0 ? `\n  Items to be pruned will be filtered with:\n${bullets(filters)}` : '';
  return `:\n${bullets(kinds)}${chosen}`;
}

const bullets = (lines: readonly string[]) => lines.map((line) => `  - ${line}\n`).join('');
