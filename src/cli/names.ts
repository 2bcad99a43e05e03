import { isKind } from '#errdefs';
import type { CommandContext } from './command.ts';
import { errorText } from './error-text.ts';

/** Runs a call for each name, prints the names that worked and the errors of those that did not, as Docker does. */
export async function forEachName(context: CommandContext, call: (name: string) => Promise<unknown>): Promise<number> {
  let status = 0;
  for (const name of context.args) {
    try {
      await call(name);
      context.terminal.stdout.write(`${name}\n`);
    } catch (error) {
      context.terminal.stderr.write(`${errorText(error)}\n`);
      // `rm -f` of what is not there has what it wants.
      if (!(context.flags.has('force') && context.flags.on('force') && isKind(error, 'not-found'))) status = 1;
    }
  }
  return status;
}

/** What is as it should be already is no failure. */
export async function unlessModified(call: Promise<void>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isKind(error, 'not-modified')) throw error;
  }
}

/** Prints as one JSON list what the names stand for, and the errors of those that are not there. */
export async function inspectEach(
  { args, terminal }: CommandContext,
  look: (name: string) => Promise<unknown>,
): Promise<number> {
  const found: unknown[] = [];
  const missing: unknown[] = [];
  for (const name of args) {
    try {
      found.push(await look(name));
    } catch (error) {
      if (!isKind(error, 'not-found')) throw error;
      missing.push(error);
    }
  }
  terminal.stdout.write(`${JSON.stringify(found, undefined, 4)}\n`);
  for (const error of missing) terminal.stderr.write(`${errorText(error)}\n`);
  return missing.length > 0 ? 1 : 0;
}
