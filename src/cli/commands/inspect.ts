import { isKind } from '#errdefs';
import { parseReference, withDefaultTag } from '#reference';
import type { Command, CommandContext } from '../command.ts';
import { UsageError } from '../flags.ts';
import { insecureFlag, withRegistry } from '../registry-call.ts';

type Lookup = (context: CommandContext, name: string) => Promise<unknown>;

/** Tried in Docker's order when no type is given. */
const lookups: Readonly<Record<string, Lookup>> = {
  container: (context, name) => context.engine().containers.inspect(name, { size: context.flags.on('size') }),
  image: (context, name) => {
    const platform = context.flags.text('platform');
    return context.engine().images.inspect(name, platform ? { platform } : {});
  },
  network: (context, name) => context.engine().networks.inspect(name),
  volume: (context, name) => context.engine().volumes.inspect(name),
};

export const inspectCommand: Command = {
  name: 'inspect',
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  summary: 'Return low-level information on Wherry objects',
  minArgs: 1,
  flags: [
    insecureFlag,
    { name: 'platform', type: 'string', help: 'Of an image: the one for this platform' },
    { name: 'raw', type: 'toggle', help: 'With --remote: the manifest or index, byte for byte' },
    {
      name: 'remote',
      type: 'toggle',
      help: 'Ask the registry of each image, without a daemon or a pull: platforms, sizes, config, layers',
    },
    { name: 'size', short: 's', type: 'toggle', help: 'Display total file sizes if the type is container' },
    { name: 'type', type: 'string', help: 'Only inspect objects of the given type' },
  ],
  async run(context) {
    if (context.flags.on('remote')) return await inspectRemotely(context);
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

async function inspectRemotely(context: CommandContext): Promise<number> {
  const { flags, args, terminal } = context;
  if (flags.on('size') || flags.has('type')) throw new UsageError('--remote goes with neither --size nor --type', 1);
  const platform = flags.text('platform');
  const found: unknown[] = [];
  for (const name of args) {
    const reference = withDefaultTag(parseReference(name));
    await withRegistry(context, [name], async ({ call }) => {
      const [{ inspectRemote }, { parsePlatform }] = await Promise.all([import('#remote'), import('#oci')]);
      if (flags.on('raw')) terminal.stdout.write((await call.registry.manifest(reference, call)).bytes);
      else
        found.push(await inspectRemote(call, reference, { platform: platform ? parsePlatform(platform) : undefined }));
    });
  }
  if (!flags.on('raw')) terminal.stdout.write(`${JSON.stringify(found, undefined, 4)}\n`);
  return 0;
}
