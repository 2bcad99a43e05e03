import { writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { readAll } from '#streams';
import { checkContext, contextTar, singleFileTar } from '../build-context.ts';
import type { Command } from '../command.ts';
import { UsageError } from '../flags.ts';
import { drawProgress } from '../progress.ts';

const maxDockerfileBytes = 16 << 20;

export const buildCommand: Command = {
  name: 'build',
  usage: '[OPTIONS] PATH | -',
  summary: 'Build an image from a Dockerfile',
  aliases: ['image build', 'builder build'],
  minArgs: 1,
  maxArgs: 1,
  flags: [
    { name: 'add-host', type: 'list', help: 'Add a custom host-to-IP mapping (host:ip)' },
    { name: 'build-arg', type: 'list', help: 'Set build-time variables' },
    { name: 'file', short: 'f', type: 'string', help: 'Name of the Dockerfile (Default is "PATH/Dockerfile")' },
    { name: 'iidfile', type: 'string', help: 'Write the image ID to the file' },
    { name: 'label', type: 'list', help: 'Set metadata for an image' },
    { name: 'network', type: 'string', help: 'Set the networking mode for the RUN instructions during build' },
    { name: 'no-cache', type: 'toggle', help: 'Do not use cache when building the image' },
    { name: 'platform', type: 'string', help: 'Set platform if server is multi-platform capable' },
    { name: 'pull', type: 'toggle', help: 'Always attempt to pull a newer version of the image' },
    { name: 'quiet', short: 'q', type: 'toggle', help: 'Suppress the build output and print image ID on success' },
    { name: 'tag', short: 't', type: 'list', help: 'Name and optionally a tag in the "name:tag" format' },
    { name: 'target', type: 'string', help: 'Set the target build stage to build' },
  ],
  async run({ flags, args, engine, terminal, environment, signal }) {
    const folder = args[0]!;
    const fromStdin = folder === '-';
    const context = fromStdin ? await stdinContext(terminal.stdin) : await folderContext(folder, flags.text('file'));
    const messages = engine().build(context.archive, {
      dockerfile: context.dockerfile,
      t: flags.list('tag'),
      buildargs: buildArgs(flags.list('build-arg'), environment),
      labels: Object.fromEntries(flags.list('label').map(splitPair)),
      nocache: flags.on('no-cache'),
      pull: flags.on('pull'),
      q: flags.on('quiet'),
      rm: true,
      ...(flags.text('target') ? { target: flags.text('target')! } : {}),
      ...(flags.text('platform') ? { platform: flags.text('platform')! } : {}),
      ...(flags.text('network') ? { networkmode: flags.text('network')! } : {}),
      ...(flags.list('add-host').length > 0 ? { extrahosts: flags.list('add-host') } : {}),
      signal,
    });
    const aux = (await drawProgress(messages, terminal.stdout)) as { ID?: string } | undefined;
    const iidfile = flags.text('iidfile');
    if (iidfile !== undefined && aux?.ID !== undefined) await writeFile(iidfile, aux.ID);
    return 0;
  },
};

interface BuildContext {
  readonly archive: AsyncIterable<Uint8Array>;
  readonly dockerfile: string;
}

async function folderContext(folder: string, file: string | undefined): Promise<BuildContext> {
  const root = resolve(folder);
  const path = file === undefined ? 'Dockerfile' : relative(root, resolve(file));
  if (path.startsWith('..')) {
    throw new UsageError(
      `unable to prepare context: the Dockerfile (${join(file ?? '')}) must be within the build context`,
      1,
    );
  }
  await checkContext(root, path);
  return { archive: contextTar(root, path), dockerfile: path };
}

/** Standard input is a context when it is an archive, else a Dockerfile alone. */
async function stdinContext(stdin: NodeJS.ReadStream): Promise<BuildContext> {
  const bytes = await readAll(stdin as AsyncIterable<Uint8Array>, maxDockerfileBytes, 'standard input');
  const isTar = bytes.length >= 512 && bytes.toString('latin1', 257, 262) === 'ustar';
  const isCompressed =
    bytes.length > 2 && ((bytes[0] === 0x1f && bytes[1] === 0x8b) || bytes.readUInt32BE(0) === 0x28b52ffd);
  if (isTar || isCompressed) return { archive: one(bytes), dockerfile: 'Dockerfile' };
  return { archive: singleFileTar('Dockerfile', bytes), dockerfile: 'Dockerfile' };
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function splitPair(line: string): [string, string] {
  const at = line.indexOf('=');
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
}

/** `--build-arg NAME` takes the client's own value. */
function buildArgs(
  lines: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string | null> {
  return Object.fromEntries(
    lines.map((line): [string, string | null] => {
      const [name, value] = splitPair(line);
      return [name, line.includes('=') ? value : (environment[name] ?? null)];
    }),
  );
}
