import type { Command, CommandContext } from '../command.ts';
import { runForeground } from '../foreground.ts';
import { detachKeysFlag, detachKeysOf } from '../interactive.ts';

export const buildDebugCommand: Command = {
  name: 'build debug',
  usage: 'CONTAINER [COMMAND] [ARG...]',
  summary: 'Run a shell in the container that a failed step of a build left',
  minArgs: 1,
  interspersed: false,
  flags: [detachKeysFlag],
  run: (context) => debugStep(context, context.args[0]!, context.args.slice(1)),
};

/** A shell, or the command, where the step failed; answers its status. On a terminal it has one too. */
export async function debugStep(
  context: CommandContext,
  container: string,
  command: readonly string[] = [],
): Promise<number> {
  const { engine, terminal } = context;
  const tty = terminal.stdin.isTTY === true && terminal.stdout.isTTY === true;
  const id = await engine().debugBuild(container, { command, tty, stdin: true });
  return await runForeground(context, id, { stdin: true, tty, remove: false, ...detachKeysOf(context.flags) });
}
