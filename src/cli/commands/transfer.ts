import { familiarString, parseReference, withDefaultTag } from '#reference';
import type { Command, CommandContext } from '../command.ts';
import { credentialsFor } from '../credentials/index.ts';
import { openInput } from '../input-file.ts';
import { drawProgress } from '../progress.ts';

const allTags = { name: 'all-tags', short: 'a', type: 'toggle' } as const;
const quiet = { name: 'quiet', short: 'q', type: 'toggle' } as const;
const platform = { name: 'platform', type: 'string', help: 'Use this platform of a multi-platform image' } as const;

export const pullCommand: Command = {
  name: 'pull',
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
  summary: 'Download an image from a registry',
  aliases: ['image pull'],
  minArgs: 1,
  maxArgs: 1,
  flags: [
    { ...allTags, help: 'Download all tagged images in the repository' },
    platform,
    { ...quiet, help: 'Suppress verbose output' },
  ],
  async run(context) {
    const { flags, terminal } = context;
    await pullImage(context, context.args[0]!, {
      allTags: flags.on('all-tags'),
      quiet: flags.on('quiet'),
      platform: flags.text('platform'),
    });
    terminal.stdout.write(`${canonical(context.args[0]!)}\n`);
    return 0;
  },
};

/** Pulls with the client's credentials, drawing on standard output (run draws on standard error). */
export async function pullImage(
  context: CommandContext,
  reference: string,
  options: { allTags?: boolean; quiet?: boolean; platform?: string | undefined; onStderr?: boolean } = {},
): Promise<void> {
  const out = options.onStderr ? context.terminal.stderr : context.terminal.stdout;
  const parsed = parseReference(reference);
  if (
    !options.allTags &&
    parsed.tag === undefined &&
    parsed.digest === undefined &&
    !options.quiet &&
    !options.onStderr
  ) {
    out.write('Using default tag: latest\n');
  }
  const messages = context.engine().images.pull(reference, {
    ...(options.allTags ? { allTags: true } : {}),
    ...(options.platform ? { platform: options.platform } : {}),
    auth: await credentialsFor(reference, context.environment),
    signal: context.signal,
  });
  await drawProgress(messages, out, { quiet: options.quiet ?? false });
}

function canonical(reference: string): string {
  const full = withDefaultTag(parseReference(reference));
  const name = `${full.domain}/${full.path}`;
  return full.digest === undefined ? `${name}:${full.tag ?? 'latest'}` : `${name}@${full.digest}`;
}

export const pushCommand: Command = {
  name: 'push',
  usage: '[OPTIONS] NAME[:TAG]',
  summary: 'Upload an image to a registry',
  aliases: ['image push'],
  minArgs: 1,
  maxArgs: 1,
  flags: [
    { ...allTags, help: 'Push all tags of an image to the repository' },
    { name: 'compress', type: 'string', help: 'How to compress layers made here: gzip or zstd, and a level: zstd:10' },
    platform,
    { ...quiet, help: 'Suppress verbose output' },
  ],
  async run(context) {
    const { flags, terminal } = context;
    const reference = context.args[0]!;
    const parsed = parseReference(reference);
    if (!flags.on('all-tags') && !flags.on('quiet') && parsed.tag === undefined && parsed.digest === undefined) {
      terminal.stdout.write('Using default tag: latest\n');
    }
    const messages = context.engine().images.push(reference, {
      ...(flags.on('all-tags') ? { allTags: true } : {}),
      ...(flags.text('platform') ? { platform: flags.text('platform')! } : {}),
      ...(flags.text('compress') ? { compress: flags.text('compress')! } : {}),
      auth: await credentialsFor(reference, context.environment),
      signal: context.signal,
    });
    await drawProgress(messages, terminal.stdout, { quiet: flags.on('quiet') });
    if (flags.on('quiet')) terminal.stdout.write(`${canonical(reference)}\n`);
    return 0;
  },
};

export const loadCommand: Command = {
  name: 'load',
  usage: '[OPTIONS]',
  summary: 'Load an image from a tar archive or STDIN',
  aliases: ['image load'],
  minArgs: 0,
  maxArgs: 0,
  flags: [
    { name: 'input', short: 'i', type: 'string', help: 'Read from tar archive file, instead of STDIN' },
    { name: 'platform', type: 'list', help: 'Load these platforms of a multi-platform image' },
    { ...quiet, help: 'Suppress the load output' },
  ],
  async run(context) {
    const input = context.flags.text('input');
    if (input === undefined && context.terminal.stdin.isTTY)
      throw new Error('requested load from stdin, but stdin is empty');
    const archive = input === undefined ? context.terminal.stdin : await openInput(input);
    const messages = context.engine().images.load(archive as AsyncIterable<Uint8Array>, {
      quiet: context.flags.on('quiet') || !context.terminal.stdout.isTTY,
      platforms: context.flags.list('platform').flatMap((given) => given.split(',')),
      signal: context.signal,
    });
    await drawProgress(messages, context.terminal.stdout);
    return 0;
  },
};

export const importCommand: Command = {
  name: 'import',
  usage: '[OPTIONS] file|- [REPOSITORY[:TAG]]',
  summary: 'Import the contents from a tarball to create a filesystem image',
  aliases: ['image import'],
  minArgs: 1,
  maxArgs: 2,
  flags: [
    { name: 'change', short: 'c', type: 'list', help: 'Apply Dockerfile instruction to the created image' },
    { name: 'message', short: 'm', type: 'string', help: 'Set commit message for imported image' },
    platform,
  ],
  async run(context) {
    const [source = '-', name] = context.args;
    const archive = source === '-' ? context.terminal.stdin : await openInput(source);
    const reference = name === undefined ? undefined : withDefaultTag(parseReference(name));
    const messages = context.engine().images.import(archive as AsyncIterable<Uint8Array>, {
      ...(reference ? { repo: familiarString(reference).replace(/:[^:/]*$/, ''), tag: reference.tag ?? 'latest' } : {}),
      changes: context.flags.list('change'),
      ...(context.flags.text('message') ? { message: context.flags.text('message')! } : {}),
      ...(context.flags.text('platform') ? { platform: context.flags.text('platform')! } : {}),
      signal: context.signal,
    });
    await drawProgress(messages, context.terminal.stdout);
    return 0;
  },
};
