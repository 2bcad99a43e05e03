import { EngineError, isKind } from '#errdefs';
import type { Command, CommandContext } from '../command.ts';
import { errorText } from '../error-text.ts';
import { runForeground } from '../foreground.ts';
import { detachKeysFlag, detachKeysOf } from '../interactive.ts';
import { forEachName, unlessModified } from '../names.ts';

const signalFlag = { name: 'signal', short: 's', type: 'string', help: 'Signal to send to the container' } as const;

export const startCommand: Command = {
  name: 'start',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Start one or more stopped containers',
  aliases: ['container start'],
  minArgs: 1,
  flags: [
    { name: 'attach', short: 'a', type: 'toggle', help: 'Attach STDOUT/STDERR and forward signals' },
    detachKeysFlag,
    { name: 'interactive', short: 'i', type: 'toggle', help: "Attach container's STDIN" },
  ],
  async run(context) {
    const { flags, engine } = context;
    if (flags.on('attach') || flags.on('interactive')) return await startAttached(context);
    const failed: string[] = [];
    const status = await forEachName(context, async (name) => {
      try {
        await unlessModified(engine().containers.start(name));
      } catch (error) {
        failed.push(name);
        throw error;
      }
    });
    if (failed.length > 0) context.terminal.stderr.write(`Error: failed to start containers: ${failed.join(', ')}\n`);
    return status;
  },
};

async function startAttached(context: CommandContext): Promise<number> {
  const { flags, args, engine } = context;
  if (args.length > 1)
    throw new EngineError('invalid-argument', 'you cannot start and attach multiple containers at once');
  const { Id, Config, HostConfig } = await engine().containers.inspect(args[0]!);
  return await runForeground(context, Id, {
    stdin: flags.on('interactive') && (Config.OpenStdin ?? false),
    tty: Config.Tty ?? false,
    remove: HostConfig.AutoRemove ?? false,
    ...detachKeysOf(flags),
  });
}

export const restartCommand: Command = {
  name: 'restart',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Restart one or more containers',
  aliases: ['container restart'],
  minArgs: 1,
  flags: [
    signalFlag,
    { name: 'timeout', short: 't', type: 'int', help: 'Seconds to wait before killing the container' },
  ],
  run: (context) =>
    forEachName(context, (name) => {
      const signal = context.flags.text('signal');
      const timeoutSeconds = context.flags.number('timeout');
      return context.engine().containers.restart(name, {
        ...(signal === undefined ? {} : { signal }),
        ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      });
    }),
};

export const killCommand: Command = {
  name: 'kill',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Kill one or more running containers',
  aliases: ['container kill'],
  minArgs: 1,
  flags: [signalFlag],
  run: (context) =>
    forEachName(context, (name) => {
      const signal = context.flags.text('signal');
      return context.engine().containers.kill(name, signal === undefined ? {} : { signal });
    }),
};

export const pauseCommand: Command = {
  name: 'pause',
  usage: 'CONTAINER [CONTAINER...]',
  summary: 'Pause all processes within one or more containers',
  aliases: ['container pause'],
  minArgs: 1,
  flags: [],
  run: (context) => forEachName(context, (name) => context.engine().containers.pause(name)),
};

export const unpauseCommand: Command = {
  name: 'unpause',
  usage: 'CONTAINER [CONTAINER...]',
  summary: 'Unpause all processes within one or more containers',
  aliases: ['container unpause'],
  minArgs: 1,
  flags: [],
  run: (context) => forEachName(context, (name) => context.engine().containers.unpause(name)),
};

export const renameCommand: Command = {
  name: 'rename',
  usage: 'CONTAINER NEW_NAME',
  summary: 'Rename a container',
  aliases: ['container rename'],
  minArgs: 2,
  maxArgs: 2,
  flags: [],
  async run({ args, engine, terminal }) {
    const [name = '', newName = ''] = args;
    try {
      await engine().containers.rename(name, newName);
      return 0;
    } catch (error) {
      terminal.stderr.write(`${errorText(error)}\nError: failed to rename container named ${name}\n`);
      return 1;
    }
  },
};

/** Prints how each ended, in the order of the line. */
export const waitCommand: Command = {
  name: 'wait',
  usage: 'CONTAINER [CONTAINER...]',
  summary: 'Block until one or more containers stop, then print their exit codes',
  aliases: ['container wait'],
  minArgs: 1,
  flags: [],
  async run({ args, engine, terminal, signal }) {
    let status = 0;
    for (const name of args) {
      try {
        const { result } = await engine().containers.wait(name, { signal });
        terminal.stdout.write(`${(await result).StatusCode}\n`);
      } catch (error) {
        if (!isKind(error, 'not-found')) throw error;
        terminal.stderr.write(`${errorText(error)}\n`);
        status = 1;
      }
    }
    return status;
  },
};
