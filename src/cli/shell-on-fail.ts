import { InBandError } from '#client';
import { placeOf } from '#errdefs';
import type { CommandContext } from './command.ts';
import { debugStep } from './commands/build-debug.ts';
import { placedText } from './error-text.ts';

/**
 * `build --shell-on-fail`: where a command of the build failed, says so, runs a shell in its container and removes that when the shell is left. Answers
 * the status of the command that failed.
 * @throws what the build threw when nothing of a step is there to be entered
 */
export async function shellOnFail(context: CommandContext, error: unknown): Promise<number> {
  const container = placeOf(error)?.container;
  if (!container) throw error;
  const { terminal, engine } = context;
  terminal.stderr.write(`${placedText(error)}\n\nA shell where it failed; leaving it removes the container.\n`);
  try {
    await debugStep(context, container);
  } finally {
    await engine().containers.remove(container, { force: true });
  }
  return error instanceof InBandError ? (error.code ?? 1) : 1;
}
