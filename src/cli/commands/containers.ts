import type { ContainerSummary, Port } from '#api-types';
import type { Command } from '../command.ts';
import { detachKeysFlag, detachKeysOf, runInteractive, sayDetached } from '../interactive.ts';
import { forEachName, unlessModified } from '../names.ts';
import { ellipsis, formatTable, humanAge, humanSize, shortID } from '../table.ts';
import { parseFilters } from './images.ts';

export const psCommand: Command = {
  name: 'ps',
  usage: '[OPTIONS]',
  summary: 'List containers',
  aliases: ['container ls', 'container list', 'container ps'],
  minArgs: 0,
  maxArgs: 0,
  flags: [
    { name: 'all', short: 'a', type: 'toggle', help: 'Show all containers (default shows just running)' },
    { name: 'filter', short: 'f', type: 'list', value: 'filter', help: 'Filter output based on conditions provided' },
    { name: 'last', short: 'n', type: 'int', help: 'Show n last created containers (includes all states)' },
    { name: 'latest', short: 'l', type: 'toggle', help: 'Show the latest created container (includes all states)' },
    { name: 'no-trunc', type: 'toggle', help: "Don't truncate output" },
    { name: 'quiet', short: 'q', type: 'toggle', help: 'Only display container IDs' },
    { name: 'size', short: 's', type: 'toggle', help: 'Display total file sizes' },
  ],
  async run({ flags, engine, terminal }) {
    const limit = flags.on('latest') ? 1 : flags.number('last');
    const containers = await engine().containers.list({
      all: flags.on('all'),
      size: flags.on('size'),
      filters: parseFilters(flags.list('filter')),
      ...(limit === undefined ? {} : { limit }),
    });
    const whole = flags.on('no-trunc');
    const id = (container: ContainerSummary) => (whole ? container.Id : shortID(container.Id));
    if (flags.on('quiet')) {
      terminal.stdout.write(containers.map((container) => `${id(container)}\n`).join(''));
      return 0;
    }
    const rows = containers.map((container) => [
      id(container),
      whole || !container.Image.startsWith('sha256:') ? container.Image : shortID(container.Image),
      JSON.stringify(whole ? container.Command : ellipsis(container.Command, 20)),
      `${humanAge(container.Created)} ago`,
      container.Status,
      portsText(container.Ports),
      container.Names.map((name) => name.replace(/^\//, '')).join(','),
      ...(flags.on('size')
        ? [`${humanSize(container.SizeRw ?? 0)} (virtual ${humanSize(container.SizeRootFs ?? 0)})`]
        : []),
    ]);
    const header = [
      'CONTAINER ID',
      'IMAGE',
      'COMMAND',
      'CREATED',
      'STATUS',
      'PORTS',
      'NAMES',
      ...(flags.on('size') ? ['SIZE'] : []),
    ];
    terminal.stdout.write(formatTable(header, rows));
    return 0;
  },
};

function portsText(ports: readonly Port[]): string {
  return ports
    .map((port) => {
      const target = `${port.PrivatePort}/${port.Type}`;
      if (port.PublicPort === undefined) return target;
      const host = port.IP?.includes(':') ? `[${port.IP}]` : (port.IP ?? '');
      return `${host}:${port.PublicPort}->${target}`;
    })
    .join(', ');
}

export const rmCommand: Command = {
  name: 'rm',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Remove one or more containers',
  aliases: ['container rm', 'container remove'],
  minArgs: 1,
  flags: [
    { name: 'force', short: 'f', type: 'toggle', help: 'Force the removal of a running container (uses SIGKILL)' },
    { name: 'volumes', short: 'v', type: 'toggle', help: 'Remove anonymous volumes associated with the container' },
  ],
  run: (context) =>
    forEachName(context, (name) =>
      context
        .engine()
        .containers.remove(name, { force: context.flags.on('force'), volumes: context.flags.on('volumes') }),
    ),
};

export const stopCommand: Command = {
  name: 'stop',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Stop one or more running containers',
  aliases: ['container stop'],
  minArgs: 1,
  flags: [
    { name: 'signal', short: 's', type: 'string', help: 'Signal to send to the container' },
    { name: 'timeout', short: 't', type: 'int', help: 'Seconds to wait before killing the container' },
  ],
  run: (context) =>
    forEachName(context, async (name) => {
      const signal = context.flags.text('signal');
      const timeoutSeconds = context.flags.number('timeout');
      const stopped = context.engine().containers.stop(name, {
        ...(signal === undefined ? {} : { signal }),
        ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      });
      await unlessModified(stopped);
    }),
};

export const logsCommand: Command = {
  name: 'logs',
  usage: '[OPTIONS] CONTAINER',
  summary: 'Fetch the logs of a container',
  aliases: ['container logs'],
  minArgs: 1,
  maxArgs: 1,
  flags: [
    { name: 'follow', short: 'f', type: 'toggle', help: 'Follow log output' },
    {
      name: 'since',
      type: 'string',
      help: 'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
    },
    {
      name: 'tail',
      short: 'n',
      type: 'string',
      help: 'Number of lines to show from the end of the logs (default "all")',
    },
    { name: 'timestamps', short: 't', type: 'toggle', help: 'Show timestamps' },
    { name: 'until', type: 'string', help: 'Show logs before a timestamp or relative time' },
  ],
  async run({ flags, args, engine, terminal, signal }) {
    const optional = (name: 'since' | 'until' | 'tail') => {
      const value = flags.text(name);
      return value === undefined ? {} : { [name]: value };
    };
    const { output } = await engine().containers.logs(args[0]!, {
      follow: flags.on('follow'),
      timestamps: flags.on('timestamps'),
      stdout: true,
      stderr: true,
      ...optional('since'),
      ...optional('until'),
      ...optional('tail'),
      signal,
    });
    for await (const chunk of output) {
      const out = chunk.stream === 'stderr' ? terminal.stderr : terminal.stdout;
      if (!out.write(chunk.data)) await new Promise((resolve) => out.once('drain', resolve));
    }
    return 0;
  },
};

export const execCommand: Command = {
  name: 'exec',
  usage: '[OPTIONS] CONTAINER COMMAND [ARG...]',
  summary: 'Execute a command in a running container',
  aliases: ['container exec'],
  minArgs: 2,
  interspersed: false,
  flags: [
    { name: 'detach', short: 'd', type: 'toggle', help: 'Detached mode: run command in the background' },
    detachKeysFlag,
    { name: 'env', short: 'e', type: 'list', help: 'Set environment variables' },
    { name: 'interactive', short: 'i', type: 'toggle', help: 'Keep STDIN open even if not attached' },
    { name: 'privileged', type: 'toggle', help: 'Give extended privileges to the command' },
    { name: 'tty', short: 't', type: 'toggle', help: 'Allocate a pseudo-TTY' },
    { name: 'user', short: 'u', type: 'string', help: 'Username or UID (format: "<name|uid>[:<group|gid>]")' },
    { name: 'workdir', short: 'w', type: 'string', help: 'Working directory inside the container' },
  ],
  async run(context) {
    const { flags, args, engine, terminal } = context;
    const [container = '', ...command] = args;
    const detach = flags.on('detach');
    const tty = flags.on('tty');
    const { detachKeys } = detachKeysOf(flags);
    const { Id } = await engine().execs.create(container, {
      Cmd: command,
      Env: flags.list('env'),
      User: flags.text('user') ?? '',
      WorkingDir: flags.text('workdir') ?? '',
      Privileged: flags.on('privileged'),
      Tty: tty,
      AttachStdin: !detach && flags.on('interactive'),
      AttachStdout: !detach,
      AttachStderr: !detach,
      ...(detachKeys === undefined ? {} : { DetachKeys: detachKeys }),
    });
    const consoleSize =
      tty && terminal.stdout.isTTY ? ([terminal.stdout.rows, terminal.stdout.columns] as const) : undefined;
    const streams = await engine().execs.start(Id, { detach, tty, ...(consoleSize ? { consoleSize } : {}) });
    if (!streams) return 0;
    const end = await runInteractive(context, streams, {
      stdin: flags.on('interactive'),
      tty,
      resize: (size) => engine().execs.resize(Id, size),
    });
    if (end === 'detached') return sayDetached(terminal);
    return (await engine().execs.inspect(Id)).ExitCode ?? 0;
  },
};

export const commitCommand: Command = {
  name: 'commit',
  usage: '[OPTIONS] CONTAINER [REPOSITORY[:TAG]]',
  summary: "Create a new image from a container's changes",
  aliases: ['container commit'],
  minArgs: 1,
  maxArgs: 2,
  flags: [
    { name: 'author', short: 'a', type: 'string', help: 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")' },
    { name: 'change', short: 'c', type: 'list', help: 'Apply Dockerfile instruction to the created image' },
    { name: 'message', short: 'm', type: 'string', help: 'Commit message' },
    { name: 'pause', short: 'p', type: 'toggle', help: 'Pause container during commit (default true)' },
  ],
  async run({ flags, args, engine, terminal, signal }) {
    const [container = '', name] = args;
    const tagged = name === undefined ? undefined : (/^(.*):([^:/]+)$/.exec(name) ?? [name, name, undefined]);
    const { Id } = await engine().images.commit(container, {
      ...(tagged?.[1] ? { repo: tagged[1] } : {}),
      ...(tagged?.[2] ? { tag: tagged[2] } : {}),
      comment: flags.text('message') ?? '',
      author: flags.text('author') ?? '',
      changes: flags.list('change'),
      pause: flags.has('pause') ? flags.on('pause') : true,
      signal,
    });
    terminal.stdout.write(`${Id}\n`);
    return 0;
  },
};
