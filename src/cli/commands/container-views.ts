import type { ContainerStats, EventMessage } from '#api-types';
import { EngineError } from '#errdefs';
import type { Command, CommandContext } from '../command.ts';
import { Output } from '../output.ts';
import { binarySize, formatTable, humanSize, shortID } from '../table.ts';
import { parseFilters } from './images.ts';

/** Docker's columns of processes, as wide as it makes them. */
const topColumnWidth = 20;

export const topCommand: Command = {
  name: 'top',
  usage: 'CONTAINER [ps OPTIONS]',
  summary: 'Display the running processes of a container',
  aliases: ['container top'],
  minArgs: 1,
  interspersed: false,
  flags: [],
  async run({ args, engine, terminal }) {
    const { Titles, Processes } = await engine().containers.top(args[0]!, args.slice(1).join(' ') || undefined);
    terminal.stdout.write(formatTable(Titles, Processes, { minWidth: topColumnWidth }));
    return 0;
  },
};

export const portCommand: Command = {
  name: 'port',
  usage: 'CONTAINER [PRIVATE_PORT[/PROTO]]',
  summary: 'List port mappings or a specific mapping for the container',
  aliases: ['container port'],
  minArgs: 1,
  maxArgs: 2,
  flags: [],
  async run({ args, engine, terminal }) {
    const [name = '', wanted] = args;
    const { NetworkSettings } = await engine().containers.inspect(name);
    const ports = NetworkSettings.Ports ?? {};
    const only = wanted === undefined || wanted.includes('/') ? wanted : `${wanted}/tcp`;
    if (only !== undefined && !ports[only]?.length)
      throw new EngineError('not-found', `Error: No public port '${wanted}' published for ${name}`);
    const lines = Object.entries(ports)
      .filter(([port]) => only === undefined || port === only)
      .flatMap(([port, bindings]) =>
        (bindings ?? []).map(({ HostIp = '', HostPort = '' }) => {
          const host = `${HostIp.includes(':') ? `[${HostIp}]` : HostIp}:${HostPort}`;
          return only === undefined ? `${port} -> ${host}` : host;
        }),
      );
    const byPort = (a: string, b: string) => Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1);
    terminal.stdout.write(
      lines
        .sort(byPort)
        .map((line) => `${line}\n`)
        .join(''),
    );
    return 0;
  },
};

export const eventsCommand: Command = {
  name: 'events',
  usage: '[OPTIONS]',
  summary: 'Get real time events from the server',
  aliases: ['system events'],
  minArgs: 0,
  maxArgs: 0,
  flags: [
    { name: 'filter', short: 'f', type: 'list', value: 'filter', help: 'Filter output based on conditions provided' },
    { name: 'json', type: 'toggle', help: 'Print as JSON, a line each' },
    { name: 'since', type: 'string', help: 'Show all events created since timestamp' },
    { name: 'until', type: 'string', help: 'Stream events until this timestamp' },
  ],
  async run({ flags, engine, terminal, signal }) {
    const since = flags.text('since');
    const until = flags.text('until');
    const events = engine().system.events({
      filters: parseFilters(flags.list('filter')),
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
      signal,
    });
    const output = new Output(terminal);
    for await (const event of events) {
      const line = flags.on('json') ? JSON.stringify(event) : eventLine(event);
      if (!(await output.write(`${line}\n`))) break;
    }
    return 0;
  },
};

function eventLine({ Type, Action, Actor, time, timeNano }: EventMessage): string {
  const attributes = Object.entries(Actor.Attributes)
    .map(([key, value]) => `${key}=${value}`)
    .sort();
  const shown = attributes.length === 0 ? '' : ` (${attributes.join(', ')})`;
  return `${timeText(time, timeNano)} ${Type} ${Action} ${Actor.ID}${shown}`;
}

/** RFC 3339 with nanoseconds, in the zone of who reads it. */
function timeText(seconds: number, nanoseconds: number): string {
  const offsetMinutes = -new Date(seconds * 1000).getTimezoneOffset();
  const local = new Date((seconds + offsetMinutes * 60) * 1000).toISOString().slice(0, 19);
  // As it came: what a number cannot hold was rounded once already.
  const part = String(nanoseconds).slice(-9).padStart(9, '0');
  const two = (value: number) => String(value).padStart(2, '0');
  const away = Math.abs(offsetMinutes);
  const zone = `${offsetMinutes < 0 ? '-' : '+'}${two(Math.floor(away / 60))}:${two(away % 60)}`;
  return `${local}.${part}${offsetMinutes === 0 ? 'Z' : zone}`;
}

const statsHeader = ['CONTAINER ID', 'NAME', 'CPU %', 'MEM USAGE / LIMIT', 'MEM %', 'NET I/O', 'BLOCK I/O', 'PIDS'];

export const statsCommand: Command = {
  name: 'stats',
  usage: '[OPTIONS] [CONTAINER...]',
  summary: "Display a live stream of containers' resource usage statistics",
  aliases: ['container stats'],
  minArgs: 0,
  flags: [
    { name: 'all', short: 'a', type: 'toggle', help: 'Show all containers (default shows just running)' },
    { name: 'no-stream', type: 'toggle', help: 'Disable streaming stats and only pull the first result' },
    { name: 'no-trunc', type: 'toggle', help: 'Do not truncate output' },
  ],
  async run(context) {
    const output = new Output(context.terminal);
    const isScreen = context.terminal.stdout.isTTY && !context.flags.on('no-stream');
    do {
      const rows = await statsRows(context);
      const table = formatTable(statsHeader, rows);
      if (!(await output.write(isScreen ? `\u001b[H\u001b[2J${table}` : table))) break;
    } while (!context.flags.on('no-stream'));
    return 0;
  },
};

/** A sample of each takes the daemon a second or two: that is how often there are new ones. */
async function statsRows({ flags, args, engine, signal }: CommandContext): Promise<string[][]> {
  const { containers } = engine();
  const names = args.length > 0 ? args : (await containers.list({ all: flags.on('all') })).map(({ Id }) => Id);
  const samples = await Promise.all(
    names.map(async (name) => {
      for await (const sample of containers.stats(name, { stream: false, signal })) return sample;
      return undefined;
    }),
  );
  return samples.flatMap((sample) => (sample ? [statsRow(sample, flags.on('no-trunc'))] : []));
}

function statsRow(stats: ContainerStats, whole: boolean): string[] {
  const { id = '', name = '', memory_stats: memory, pids_stats: pids } = stats;
  const used = (memory.usage ?? 0) - reclaimable(memory);
  const limit = memory.limit ?? 0;
  const networks = Object.values(stats.networks ?? {});
  const sum = (key: 'rx_bytes' | 'tx_bytes') => networks.reduce((total, network) => total + network[key], 0);
  const blocks = (operation: RegExp) =>
    (stats.blkio_stats.io_service_bytes_recursive ?? [])
      .filter(({ op }) => operation.test(op))
      .reduce((total, { value }) => total + value, 0);
  return [
    whole ? id : shortID(id),
    name.replace(/^\//, ''),
    `${processorPercent(stats).toFixed(2)}%`,
    `${binarySize(used)} / ${binarySize(limit)}`,
    `${(limit === 0 ? 0 : (used / limit) * 100).toFixed(2)}%`,
    `${humanSize(sum('rx_bytes'))} / ${humanSize(sum('tx_bytes'))}`,
    `${humanSize(blocks(/^read$/i))} / ${humanSize(blocks(/^write$/i))}`,
    String(pids.current ?? 0),
  ];
}

/** Page cache that the kernel takes back when it is asked for memory: Docker's client leaves it out (cgroup v1 and v2 call it differently). */
function reclaimable({ usage = 0, stats = {} }: ContainerStats['memory_stats']): number {
  const cache = stats['total_inactive_file'] ?? stats['inactive_file'] ?? 0;
  return cache < usage ? cache : 0;
}

/** Of one processor: 200 is two busy ones. */
function processorPercent({ cpu_stats: now, precpu_stats: before }: ContainerStats): number {
  const own = now.cpu_usage.total_usage - before.cpu_usage.total_usage;
  const whole = (now.system_cpu_usage ?? 0) - (before.system_cpu_usage ?? 0);
  const processors = now.online_cpus ?? now.cpu_usage.percpu_usage?.length ?? 0;
  return whole > 0 && own > 0 ? (own / whole) * processors * 100 : 0;
}
