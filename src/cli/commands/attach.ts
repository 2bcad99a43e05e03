import { EngineError } from '#errdefs';
import type { Command } from '../command.ts';
import { detachKeysFlag, detachKeysOf, runInteractive, sayDetached } from '../interactive.ts';

export const attachCommand: Command = {
  name: 'attach',
  usage: '[OPTIONS] CONTAINER',
  summary: 'Attach local standard input, output, and error streams to a running container',
  aliases: ['container attach'],
  minArgs: 1,
  maxArgs: 1,
  flags: [detachKeysFlag, { name: 'no-stdin', type: 'toggle', help: 'Do not attach STDIN' }],
  async run(context) {
    const { flags, args, engine, terminal } = context;
    const { containers } = engine();
    const { Id, Config, State } = await containers.inspect(args[0]!);
    if (!State.Running) {
      throw new EngineError('conflict', 'cannot attach to a stopped container, start it first');
    }
    if (State.Paused) throw new EngineError('conflict', 'cannot attach to a paused container, unpause it first');
    const tty = Config.Tty ?? false;
    const stdin = !flags.on('no-stdin') && (Config.OpenStdin ?? false);
    // Waited for before the streams are there, so that no exit is missed.
    const { result } = await containers.wait(Id);
    const streams = await containers.attach(Id, {
      stream: true,
      stdin,
      stdout: true,
      stderr: true,
      ...detachKeysOf(flags),
    });
    const end = await runInteractive(context, streams, {
      stdin,
      tty,
      resize: (size) => containers.resize(Id, size),
    });
    return end === 'detached' ? sayDetached(terminal) : (await result).StatusCode;
  },
};
