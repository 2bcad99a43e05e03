import { isKind } from '#errdefs';
import type { Command, CommandContext } from '../command.ts';
import { UsageError } from '../flags.ts';

type Lookup = (context: CommandContext, name: string) => Promise<unknown>;

/** Tried in Docker's order when no type is given. */
const lookups: Readonly<Record<string, Lookup>> = {
  container: (context, name) => context.engine().containers.inspect(name, { size: context.flags.on('size') }),
  image: (context, name) => context.engine().images.inspect(name),
  network: (context, name) => context.engine().networks.inspect(name),
  volume: (context, name) => context.engine().volumes.inspect(name),
};

export const inspectCommand: Command = {
  name: 'inspect',
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  summary: 'Return low-level information on Wherry objects',
  minArgs: 1,
  flags: [
    { name: 'size', short: 's', type: 'toggle', help: 'Display total file sizes if the type is container' },
    { name: 'type', type: 'string', help: 'Only inspect objects of the given type' },
  ],
  async run(context) {
    const type = context.flags.text('type');
    if (type !== undefined && !lookups[type]) throw new UsageError(`"${type}" is not a valid value for --type`, 1);
    const found: unknown[] = [];
    let status = 0;
    for (const name of context.args) {
      const object = await lookUp(context, name, type);
      if (object !== undefined) found.push(object);
      else {
        context.terminal.stderr.write(`Error: No such ${type ?? 'object'}: ${name}\n`);
        status = 1;
      }
    }
    context.terminal.stdout.write(`${JSON.stringify(found, undefined, 4)}\n`);
    return status;
  },
};

async function lookUp(context: CommandContext, name: string, type: string | undefined): Promise<unknown> {
  for (const [kind, look] of Object.entries(lookups)) {
    if (type !== undefined && kind !== type) continue;
    try {
      return await look(context, name);
    } catch (error) {
      if (!isKind(error, 'not-found') && !isKind(error, 'invalid-argument')) throw error;
    }
  }
  return undefined;
}
