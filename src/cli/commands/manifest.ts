import { EngineError } from '#errdefs';
import type { Platform } from '#oci';
import { formatReference, parseReference, type Reference, withDefaultTag } from '#reference';
import type { RemoteCall } from '#remote';
import type { Command, CommandContext } from '../command.ts';
import { Draft, type DraftEntry } from '../drafts.ts';
import { insecureFlag, withRegistry } from '../registry-call.ts';

const named = (text: string): Reference => withDefaultTag(parseReference(text));

/** `formatReference` of what was given, so that `app` and `docker.io/library/app:latest` are one. */
const nameOf = (text: string): string => formatReference(named(text));

async function requireDraft(context: CommandContext, list: string): Promise<Draft> {
  const draft = await Draft.read(named(list), context.environment);
  if (draft) return draft;
  throw new EngineError('not-found', `no such manifest list here: ${nameOf(list)}`);
}

export const manifestCreateCommand: Command = {
  name: 'manifest create',
  usage: '[OPTIONS] MANIFEST_LIST MANIFEST [MANIFEST...]',
  summary: 'Create a manifest list here, to annotate and to push',
  minArgs: 2,
  flags: [{ name: 'amend', short: 'a', type: 'toggle', help: 'Add to a manifest list that is there' }, insecureFlag],
  async run(context) {
    const [list = '', ...names] = context.args;
    const before = await Draft.read(named(list), context.environment);
    if (before && !context.flags.on('amend'))
      throw new EngineError('already-exists', 'refusing to amend an existing manifest list with no --amend flag');
    const found = await withRegistry(context, names, async ({ calls }) => await readEntries(calls, names));
    const kept = (before?.entries ?? []).filter(({ name }) => !found.some((entry) => entry.name === name));
    await Draft.write(named(list), context.environment, [...kept, ...found]);
    context.terminal.stdout.write(`Created manifest list ${nameOf(list)}\n`);
    return 0;
  },
};

async function readEntries(calls: readonly RemoteCall[], names: readonly string[]): Promise<readonly DraftEntry[]> {
  const { indexParts } = await import('#remote');
  const { isIndex } = await import('#oci');
  const entries: DraftEntry[] = [];
  for (const [at, name] of names.entries()) {
    const call = calls[at]!;
    const { mediaType } = await call.registry.resolve(named(name), call);
    if (isIndex(mediaType))
      throw new EngineError('invalid-argument', `${name} is a manifest list itself; wherry index create joins those`);
    const [part] = await indexParts(call, named(name));
    entries.push({ name: nameOf(name), ...part! });
  }
  return entries;
}

export const manifestAnnotateCommand: Command = {
  name: 'manifest annotate',
  usage: '[OPTIONS] MANIFEST_LIST MANIFEST',
  summary: 'Say more about an image of a manifest list',
  minArgs: 2,
  maxArgs: 2,
  flags: [
    { name: 'arch', type: 'string', help: 'Set architecture' },
    { name: 'os', type: 'string', help: 'Set operating system' },
    { name: 'os-features', type: 'list', help: 'Set operating system features' },
    { name: 'os-version', type: 'string', help: 'Set operating system version' },
    { name: 'variant', type: 'string', help: 'Set architecture variant' },
  ],
  async run(context) {
    const [list = '', name = ''] = context.args;
    const draft = await requireDraft(context, list);
    if (!draft.entries.some((entry) => entry.name === nameOf(name)))
      throw new EngineError('not-found', `manifest for image ${nameOf(name)} does not exist in ${nameOf(list)}`);
    const entries = draft.entries.map((entry) =>
      entry.name === nameOf(name)
        ? { ...entry, descriptor: { ...entry.descriptor, platform: annotated(entry.descriptor.platform, context) } }
        : entry,
    );
    await Draft.write(named(list), context.environment, entries);
    return 0;
  },
};

function annotated(before: Platform | undefined, { flags }: CommandContext): Platform {
  const text = (flag: string, known: string | undefined) => flags.text(flag) ?? known;
  const variant = text('variant', before?.variant);
  const version = text('os-version', before?.['os.version']);
  const features = flags.has('os-features')
    ? flags.list('os-features').flatMap((value) => value.split(','))
    : before?.['os.features'];
  const platform: Platform = {
    architecture: text('arch', before?.architecture) ?? '',
    os: text('os', before?.os) ?? '',
    ...(version ? { 'os.version': version } : {}),
    ...(features?.length ? { 'os.features': features } : {}),
    ...(variant ? { variant } : {}),
  };
  for (const value of [platform.os, platform.architecture, platform.variant ?? 'v']) {
    if (!/^[A-Za-z0-9_.-]+$/.test(value))
      throw new EngineError(
        'invalid-argument',
        `manifest entry for image has unsupported os/arch combination: ${platform.os}/${platform.architecture}`,
      );
  }
  return platform;
}

export const manifestInspectCommand: Command = {
  name: 'manifest inspect',
  usage: '[OPTIONS] [MANIFEST_LIST] MANIFEST',
  summary: 'Show a manifest list from here, or a manifest from its registry',
  minArgs: 1,
  maxArgs: 2,
  flags: [
    insecureFlag,
    { name: 'verbose', short: 'v', type: 'toggle', help: 'Also show the reference and the descriptor' },
  ],
  async run(context) {
    const { args, flags, terminal } = context;
    const name = args.at(-1)!;
    const write = (value: unknown) => terminal.stdout.write(`${JSON.stringify(value, undefined, 3)}\n`);
    if (args.length === 2) {
      const draft = await requireDraft(context, args[0]!);
      const entry = draft.entries.find((candidate) => candidate.name === nameOf(name));
      if (!entry) throw new EngineError('not-found', `no such manifest: ${nameOf(name)} in ${nameOf(args[0]!)}`);
      write({ Ref: entry.name, Descriptor: entry.descriptor });
      return 0;
    }
    const draft = await Draft.read(named(name), context.environment);
    if (draft) {
      const { writeIndex } = await import('#remote');
      const index = JSON.parse(writeIndex(draft.parts).bytes.toString('utf8')) as unknown;
      write(
        flags.on('verbose') ? draft.entries.map((entry) => ({ Ref: entry.name, Descriptor: entry.descriptor })) : index,
      );
      return 0;
    }
    return await withRegistry(context, [name], async ({ call }) => {
      const { descriptor, bytes } = await call.registry.manifest(named(name), call);
      const manifest = JSON.parse(bytes.toString('utf8')) as unknown;
      write(flags.on('verbose') ? { Ref: nameOf(name), Descriptor: descriptor, Manifest: manifest } : manifest);
      return 0;
    });
  },
};

export const manifestPushCommand: Command = {
  name: 'manifest push',
  usage: '[OPTIONS] MANIFEST_LIST',
  summary: 'Push a manifest list, and the images its repository lacks',
  minArgs: 1,
  maxArgs: 1,
  flags: [insecureFlag, { name: 'purge', short: 'p', type: 'toggle', help: 'Remove the list here after the push' }],
  async run(context) {
    const list = context.args[0]!;
    const draft = await requireDraft(context, list);
    const names = draft.entries.map(({ name }) => name);
    const { digest } = await withRegistry(context, [list, ...names], async ({ call, calls }) => {
      const { pushIndex } = await import('#remote');
      const callFor = (from: Reference) => calls[1 + draft.entries.findIndex((entry) => entry.from === from)] ?? call;
      return await pushIndex(call, named(list), draft.parts, { callFor, signal: context.signal });
    });
    if (context.flags.on('purge')) await draft.remove();
    context.terminal.stdout.write(`${digest}\n`);
    return 0;
  },
};

export const manifestRmCommand: Command = {
  name: 'manifest rm',
  usage: 'MANIFEST_LIST [MANIFEST_LIST...]',
  summary: 'Remove manifest lists from here',
  minArgs: 1,
  flags: [],
  async run(context) {
    const drafts = await Promise.all(context.args.map((list) => requireDraft(context, list)));
    for (const draft of drafts) await draft.remove();
    return 0;
  },
};

export const indexCreateCommand: Command = {
  name: 'index create',
  usage: '[OPTIONS] NAME[:TAG] IMAGE [IMAGE...]',
  summary: 'Push an index over images of registries, without a pull',
  minArgs: 2,
  flags: [
    { name: 'annotation', type: 'list', value: 'key=value', help: 'Say something about the index' },
    { name: 'dry-run', type: 'toggle', help: 'Print the index and push nothing' },
    insecureFlag,
  ],
  async run(context) {
    const [target = '', ...names] = context.args;
    const annotations = Object.fromEntries(context.flags.list('annotation').map(keyAndValue));
    return await withRegistry(context, [target, ...names], async ({ call, calls }) => {
      const { composeParts, indexParts, pushIndex, writeIndex } = await import('#remote');
      const found = await Promise.all(names.map((name, at) => indexParts(calls[at + 1]!, named(name))));
      const parts = composeParts(found.flat());
      if (context.flags.on('dry-run')) {
        context.terminal.stdout.write(`${writeIndex(parts, annotations).bytes.toString('utf8')}\n`);
        return 0;
      }
      const callFor = (from: Reference) =>
        calls[1 + found.findIndex((some) => some.some((part) => part.from === from))]!;
      const options = { annotations, callFor, signal: context.signal };
      const { digest } = await pushIndex(call, named(target), parts, options);
      context.terminal.stdout.write(`${digest}\n`);
      return 0;
    });
  },
};

function keyAndValue(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at <= 0) throw new EngineError('invalid-argument', `invalid annotation ${JSON.stringify(text)}: not key=value`);
  return [text.slice(0, at), text.slice(at + 1)];
}
