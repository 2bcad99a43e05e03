import type { Filters, ImageSummary } from '#api-types';
import { EngineError, isKind, messageOf } from '#errdefs';
import { parseReference } from '#reference';
import { blameText } from '../blame-text.ts';
import type { Command } from '../command.ts';
import { errorText } from '../error-text.ts';
import { explanationText } from '../explanation.ts';
import { UsageError } from '../flags.ts';
import { imageTree } from '../image-tree.ts';
import { Output } from '../output.ts';
import { type RemovedSpace, removing, spaceLines, sumOf } from '../removed-space.ts';
import { ellipsis, formatTable, humanAge, humanSize, shortID } from '../table.ts';

/** `--filter key=value` lines as the API's filters. */
export function parseFilters(lines: readonly string[]): Filters {
  const filters: Record<string, string[]> = {};
  for (const line of lines) {
    const at = line.indexOf('=');
    if (at <= 0) throw new UsageError(`invalid argument "${line}" for "-f, --filter" flag: invalid filter '${line}'`);
    (filters[line.slice(0, at).trim().toLowerCase()] ??= []).push(line.slice(at + 1).trim());
  }
  return filters;
}

const filterFlag = {
  name: 'filter',
  short: 'f',
  type: 'list',
  value: 'filter',
  help: 'Filter output based on conditions provided',
} as const;

export const imagesCommand: Command = {
  name: 'images',
  usage: '[OPTIONS] [REPOSITORY[:TAG]]',
  summary: 'List images',
  aliases: ['image ls', 'image list'],
  minArgs: 0,
  maxArgs: 1,
  flags: [
    { name: 'all', short: 'a', type: 'toggle', help: 'Show all images (default hides intermediate images)' },
    { name: 'digests', type: 'toggle', help: 'Show digests' },
    filterFlag,
    { name: 'no-trunc', type: 'toggle', help: "Don't truncate output" },
    { name: 'quiet', short: 'q', type: 'toggle', help: 'Only show image IDs' },
    { name: 'tree', type: 'toggle', help: 'Show the platforms of each image, with those that are not here' },
  ],
  async run({ flags, args, engine, terminal }) {
    const filters = parseFilters([...flags.list('filter'), ...args.map((name) => `reference=${name}`)]);
    const images = await engine().images.list({ all: flags.on('all'), filters, manifests: flags.on('tree') });
    if (flags.on('tree')) {
      terminal.stdout.write(imageTree(images, { whole: flags.on('no-trunc') }));
      return 0;
    }
    const id = (image: ImageSummary) => (flags.on('no-trunc') ? image.Id : shortID(image.Id));
    if (flags.on('quiet')) {
      terminal.stdout.write(images.map((image) => `${id(image)}\n`).join(''));
      return 0;
    }
    const digests = flags.on('digests');
    const rows = images.flatMap((image) =>
      nameRows(image, digests).map(([repository, tag, digest]) => [
        repository,
        tag,
        ...(digests ? [digest] : []),
        id(image),
        `${humanAge(image.Created)} ago`,
        humanSize(image.Size),
      ]),
    );
    const header = ['REPOSITORY', 'TAG', ...(digests ? ['DIGEST'] : []), 'IMAGE ID', 'CREATED', 'SIZE'];
    terminal.stdout.write(formatTable(header, rows));
    return 0;
  },
};

type NameRow = readonly [repository: string, tag: string, digest: string];

/** One row per tag; a digest without a tag gets a row of its own, and an image without either one of `<none>`s. */
function nameRows(image: ImageSummary, withDigests: boolean): NameRow[] {
  const digests = new Map((image.RepoDigests ?? []).map((name) => name.split('@', 2) as [string, string]));
  const tags = (image.RepoTags ?? []).map((name): NameRow => {
    const at = name.lastIndexOf(':');
    const repository = name.slice(0, at);
    return [repository, name.slice(at + 1), digests.get(repository) ?? '<none>'];
  });
  const tagged = new Set(tags.map(([repository]) => repository));
  const untagged = [...digests].filter(([repository]) => !tagged.has(repository));
  if (tags.length === 0 && untagged.length === 0) return [['<none>', '<none>', '<none>']];
  const rest = withDigests || tags.length === 0 ? untagged : [];
  return [...tags, ...rest.map(([repository, digest]): NameRow => [repository, '<none>', digest])];
}

export const historyCommand: Command = {
  name: 'history',
  usage: '[OPTIONS] IMAGE',
  summary: 'Show the history of an image',
  aliases: ['image history'],
  minArgs: 1,
  maxArgs: 1,
  flags: [
    { name: 'blame', type: 'toggle', help: 'Show where its bytes come from, and which are waste' },
    { name: 'build', type: 'toggle', help: 'Show what each step of its build did, and why' },
    { name: 'files', type: 'int', help: 'With --blame: how many files of each layer to name (default 10)' },
    { name: 'json', type: 'toggle', help: 'With --blame or --build: as JSON' },
    { name: 'no-trunc', type: 'toggle', help: "Don't truncate output" },
    { name: 'platform', type: 'string', help: 'Show this platform of a multi-platform image' },
    { name: 'quiet', short: 'q', type: 'toggle', help: 'Only show image IDs' },
  ],
  async run({ flags, args, engine, terminal, signal }) {
    if (flags.on('blame')) {
      const files = flags.number('files');
      const blame = await engine().images.blame(args[0]!, { ...(files === undefined ? {} : { files }), signal });
      const text = () => blameText(blame, { whole: flags.on('no-trunc') });
      await new Output(terminal).write(flags.on('json') ? `${JSON.stringify(blame, undefined, 2)}\n` : text());
      return 0;
    }
    if (flags.on('build')) {
      const steps = await engine().images.buildReport(args[0]!);
      terminal.stdout.write(flags.on('json') ? `${JSON.stringify(steps, undefined, 2)}\n` : explanationText(steps));
      return 0;
    }
    const whole = flags.on('no-trunc');
    const platform = flags.text('platform');
    const items = await engine().images.history(args[0]!, platform ? { platform } : {});
    const id = (text: string) => (whole || text === '<missing>' ? text : shortID(text));
    if (flags.on('quiet')) {
      terminal.stdout.write(items.map((item) => `${id(item.Id)}\n`).join(''));
      return 0;
    }
    const rows = items.map((item) => {
      const createdBy = item.CreatedBy.replaceAll('\t', ' ').replaceAll('\n', ' ');
      return [
        id(item.Id),
        `${humanAge(item.Created)} ago`,
        whole ? createdBy : ellipsis(createdBy, 45),
        humanSize(item.Size),
        item.Comment,
      ];
    });
    terminal.stdout.write(formatTable(['IMAGE', 'CREATED', 'CREATED BY', 'SIZE', 'COMMENT'], rows));
    return 0;
  },
};

export const tagCommand: Command = {
  name: 'tag',
  usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
  summary: 'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
  aliases: ['image tag'],
  minArgs: 2,
  maxArgs: 2,
  flags: [],
  async run({ args, engine }) {
    const [source = '', target = ''] = args;
    checkName(target);
    const tagged = /^(.*):([^:/]+)$/.exec(target);
    await engine().images.tag(source, tagged ? tagged[1]! : target, tagged?.[2]);
    return 0;
  },
};

function checkName(name: string): void {
  try {
    parseReference(name);
  } catch (cause) {
    const fact = `${JSON.stringify(name)} is not a valid repository/tag: ${messageOf(cause)}`;
    throw new EngineError('invalid-argument', `Error parsing reference: ${fact}`, { cause });
  }
}

export const rmiCommand: Command = {
  name: 'rmi',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Remove one or more images',
  aliases: ['image rm', 'image remove'],
  minArgs: 1,
  flags: [
    { name: 'force', short: 'f', type: 'toggle', help: 'Force removal of the image' },
    { name: 'no-prune', type: 'toggle', help: 'Do not delete untagged parents' },
    { name: 'platform', type: 'list', value: 'platform', help: 'Remove only this platform of the image (repeatable)' },
  ],
  async run({ flags, args, engine, terminal }) {
    let status = 0;
    const spaces: RemovedSpace[] = [];
    const options = {
      force: flags.on('force'),
      noPrune: flags.on('no-prune'),
      ...(flags.has('platform') ? { platforms: flags.list('platform') } : {}),
    };
    const layersBytes = async () => (await engine().system.df({ types: ['image'] })).LayersSize ?? 0;
    for (const name of args) {
      try {
        const before = await layersBytes();
        const { answer: items, space } = await removing(
          engine(),
          'rmi',
          () => engine().images.remove(name, options),
          async () => before - (await layersBytes()),
        );
        spaces.push(space);
        for (const item of items) {
          terminal.stdout.write(
            item.Deleted === undefined ? `Untagged: ${item.Untagged}\n` : `Deleted: ${item.Deleted}\n`,
          );
        }
      } catch (error) {
        terminal.stderr.write(`${errorText(error)}\n`);
        if (!(flags.on('force') && isKind(error, 'not-found'))) status = 1;
      }
    }
    const space = sumOf(spaces);
    if (space.freedBytes + space.trashedBytes > 0) terminal.stdout.write(spaceLines(space));
    return status;
  },
};
