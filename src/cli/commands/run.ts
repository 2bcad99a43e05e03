import type { ContainerCreateConfig, PortBinding } from '#api-types';
import { isKind } from '#errdefs';
import { readBounded } from '#files';
import type { Command, CommandContext } from '../command.ts';
import { type FlagSpec, type Flags, UsageError } from '../flags.ts';
import { runForeground } from '../foreground.ts';
import { detachKeysFlag, detachKeysOf } from '../interactive.ts';
import { pairs } from '../pairs.ts';
import { parsePublish } from '../ports.ts';
import { healthcheck, healthLabels, lifecycleFlags, restartPolicy } from './run-lifecycle.ts';
import { pullImage } from './transfer.ts';

const maxEnvFileBytes = 1 << 20;

/** What a container is made of. */
const createFlags: readonly FlagSpec[] = [
  { name: 'add-host', type: 'list', help: 'Add a custom host-to-IP mapping (host:ip)' },
  { name: 'cap-add', type: 'list', help: 'Add Linux capabilities' },
  { name: 'cap-drop', type: 'list', help: 'Drop Linux capabilities' },
  { name: 'cpu-shares', short: 'c', type: 'int', help: 'CPU shares (relative weight)' },
  { name: 'cpus', type: 'decimal', help: 'Number of CPUs' },
  { name: 'dns', type: 'list', help: 'Set custom DNS servers' },
  { name: 'entrypoint', type: 'string', help: 'Overwrite the default ENTRYPOINT of the image' },
  { name: 'env', short: 'e', type: 'list', help: 'Set environment variables' },
  { name: 'env-file', type: 'list', help: 'Read in a file of environment variables' },
  { name: 'group-add', type: 'list', help: 'Add additional groups to join' },
  { name: 'hostname', short: 'h', type: 'string', help: 'Container host name' },
  {
    name: 'init',
    type: 'toggle',
    help: 'Run an init inside the container that forwards signals and reaps processes',
  },
  { name: 'interactive', short: 'i', type: 'toggle', help: 'Keep STDIN open even if not attached' },
  { name: 'label', short: 'l', type: 'list', help: 'Set meta data on a container' },
  { name: 'memory', short: 'm', type: 'bytes', help: 'Memory limit' },
  { name: 'memory-swap', type: 'bytes', help: "Swap limit equal to memory plus swap: '-1' to enable unlimited swap" },
  { name: 'name', type: 'string', help: 'Assign a name to the container' },
  { name: 'network', type: 'string', value: 'network', help: 'Connect a container to a network' },
  { name: 'pids-limit', type: 'int', help: 'Tune container pids limit (set -1 for unlimited)' },
  { name: 'platform', type: 'string', help: 'Set platform if server is multi-platform capable' },
  { name: 'privileged', type: 'toggle', help: 'Give extended privileges to this container' },
  { name: 'publish', short: 'p', type: 'list', help: "Publish a container's port(s) to the host" },
  { name: 'publish-all', short: 'P', type: 'toggle', help: 'Publish all exposed ports to random ports' },
  {
    name: 'pull',
    type: 'string',
    help: 'Pull image before running ("always", "missing", "never") (default "missing")',
  },
  { name: 'quiet', short: 'q', type: 'toggle', help: 'Suppress the pull output' },
  { name: 'read-only', type: 'toggle', help: "Mount the container's root filesystem as read only" },
  {
    name: 'rm',
    type: 'toggle',
    help: 'Automatically remove the container and its associated anonymous volumes when it exits',
  },
  ...lifecycleFlags,
  { name: 'security-opt', type: 'list', help: 'Security Options' },
  { name: 'shm-size', type: 'bytes', help: 'Size of /dev/shm' },
  { name: 'stop-signal', type: 'string', help: 'Signal to stop the container' },
  { name: 'stop-timeout', type: 'int', help: 'Timeout (in seconds) to stop a container' },
  { name: 'tmpfs', type: 'list', help: 'Mount a tmpfs directory' },
  { name: 'tty', short: 't', type: 'toggle', help: 'Allocate a pseudo-TTY' },
  { name: 'user', short: 'u', type: 'string', help: 'Username or UID (format: <name|uid>[:<group|gid>])' },
  { name: 'volume', short: 'v', type: 'list', help: 'Bind mount a volume' },
  { name: 'workdir', short: 'w', type: 'string', help: 'Working directory inside the container' },
];

export const createCommand: Command = {
  name: 'create',
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  summary: 'Create a new container',
  aliases: ['container create'],
  minArgs: 1,
  interspersed: false,
  flags: createFlags,
  async run(context) {
    const id = await createWithPull(context, await createConfig(context));
    context.terminal.stdout.write(`${id}\n`);
    return 0;
  },
};

export const runCommand: Command = {
  name: 'run',
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  summary: 'Create and run a new container from an image',
  aliases: ['container run'],
  minArgs: 1,
  interspersed: false,
  flags: [
    ...createFlags,
    { name: 'detach', short: 'd', type: 'toggle', help: 'Run container in background and print container ID' },
    detachKeysFlag,
  ],
  async run(context) {
    const { flags, engine, terminal } = context;
    const config = await createConfig(context);
    const id = await createWithPull(context, config);
    if (flags.on('detach')) {
      await engine().containers.start(id);
      terminal.stdout.write(`${id}\n`);
      return 0;
    }
    return await runForeground(context, id, {
      stdin: flags.on('interactive'),
      tty: flags.on('tty'),
      remove: flags.on('rm'),
      ...detachKeysOf(flags),
    });
  },
};

async function createWithPull(context: CommandContext, config: ContainerCreateConfig): Promise<string> {
  const { flags, terminal } = context;
  const policy = flags.text('pull') ?? 'missing';
  if (!['always', 'missing', 'never'].includes(policy)) {
    throw new UsageError(`invalid pull option: '${policy}': must be one of "always", "missing" or "never"`);
  }
  const name = flags.text('name');
  const platform = flags.text('platform');
  const create = async () => {
    const options = { ...(name ? { name } : {}), ...(platform ? { platform } : {}) };
    const { Id, Warnings } = await context.engine().containers.create(config, options);
    for (const warning of Warnings ?? []) terminal.stderr.write(`WARNING: ${warning}\n`);
    return Id;
  };
  const pull = () => pullImage(context, config.Image!, { quiet: flags.on('quiet'), onStderr: true, platform });
  if (policy === 'always') await pull();
  try {
    return await create();
  } catch (error) {
    const missing = isKind(error, 'not-found') && /No such image/.test((error as Error).message);
    if (policy !== 'missing' || !missing) throw error;
    terminal.stderr.write(`Unable to find image '${displayReference(config.Image!)}' locally\n`);
    await pull();
    return await create();
  }
}

function displayReference(image: string): string {
  return /[:@][^/]*$/.test(image) ? image : `${image}:latest`;
}

async function createConfig(context: CommandContext): Promise<ContainerCreateConfig> {
  const { flags, args, terminal } = context;
  const [image = '', ...command] = args;
  const interactive = flags.on('interactive');
  const attached = !flags.on('detach');
  const published = parsePublish(flags.list('publish'));
  const entrypoint = flags.text('entrypoint');
  return {
    Image: image,
    Cmd: command,
    Hostname: flags.text('hostname') ?? '',
    User: flags.text('user') ?? '',
    WorkingDir: flags.text('workdir') ?? '',
    Env: [
      ...(await envFromFiles(flags.list('env-file'))),
      ...flags.list('env').map((item) => withValue(item, context)),
    ],
    Labels: { ...pairs(flags.list('label')), ...healthLabels(flags) },
    ...healthcheck(flags),
    Tty: flags.on('tty'),
    OpenStdin: interactive,
    StdinOnce: interactive && attached,
    AttachStdin: interactive && attached,
    AttachStdout: attached,
    AttachStderr: attached,
    ExposedPorts: Object.fromEntries(Object.keys(published).map((port) => [port, {}])),
    ...(entrypoint === undefined ? {} : { Entrypoint: [entrypoint] }),
    ...(flags.text('stop-signal') ? { StopSignal: flags.text('stop-signal')! } : {}),
    ...(flags.number('stop-timeout') === undefined ? {} : { StopTimeout: flags.number('stop-timeout')! }),
    HostConfig: hostConfig(flags, published, [terminal.stdout.rows ?? 0, terminal.stdout.columns ?? 0]),
  };
}

function hostConfig(
  flags: Flags,
  published: Readonly<Record<string, readonly PortBinding[]>>,
  consoleSize: readonly [number, number],
): NonNullable<ContainerCreateConfig['HostConfig']> {
  return {
    Binds: flags.list('volume'),
    NetworkMode: flags.text('network') ?? 'default',
    PortBindings: published,
    PublishAllPorts: flags.on('publish-all'),
    RestartPolicy: restartPolicy(flags),
    AutoRemove: flags.on('rm'),
    ConsoleSize: consoleSize,
    CapAdd: flags.list('cap-add'),
    CapDrop: flags.list('cap-drop'),
    Dns: flags.list('dns'),
    ExtraHosts: flags.list('add-host'),
    GroupAdd: flags.list('group-add'),
    Privileged: flags.on('privileged'),
    ReadonlyRootfs: flags.on('read-only'),
    SecurityOpt: flags.list('security-opt'),
    ShmSize: flags.number('shm-size') ?? 0,
    CpuShares: flags.number('cpu-shares') ?? 0,
    Memory: flags.number('memory') ?? 0,
    MemorySwap: flags.number('memory-swap') ?? 0,
    NanoCpus: Math.round((flags.number('cpus') ?? 0) * 1e9),
    PidsLimit: flags.number('pids-limit') ?? 0,
    ...(flags.on('init') ? { Init: true } : {}),
    ...(flags.list('tmpfs').length > 0 ? { Tmpfs: tmpfs(flags.list('tmpfs')) } : {}),
  };
}

function tmpfs(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf(':');
      return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}

/** `-e NAME` takes the client's own value; a name it does not have is left out by the engine. */
function withValue(item: string, context: CommandContext): string {
  if (item.includes('=')) return item;
  const value = context.environment[item];
  return value === undefined ? item : `${item}=${value}`;
}

async function envFromFiles(paths: readonly string[]): Promise<string[]> {
  const lines: string[] = [];
  for (const path of paths) {
    const bytes = await readBounded(path, maxEnvFileBytes);
    if (!bytes) throw new UsageError(`open ${path}: no such file or directory`);
    lines.push(
      ...bytes
        .toString('utf8')
        .split('\n')
        .map((line) => line.trimStart().replace(/\r$/, ''))
        .filter((line) => line !== '' && !line.startsWith('#')),
    );
  }
  return lines;
}
