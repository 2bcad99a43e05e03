import { readFile } from 'node:fs/promises';
import { EngineError } from '#errdefs';
import { parseReference, type Reference } from '#reference';
import type { ScrubReport } from '#remote';
import type { Command } from '../command.ts';
import { UsageError } from '../flags.ts';
import { insecureFlag, withRegistry } from '../registry-call.ts';
import { formatTable, humanSize } from '../table.ts';

export const registryDescribeCommand: Command = {
  name: 'registry describe',
  usage: '[OPTIONS] HOST/REPOSITORY',
  summary: 'Show or change what a registry of Wherry says of a repository',
  minArgs: 1,
  maxArgs: 1,
  flags: [
    { name: 'description', type: 'string', help: 'One line' },
    insecureFlag,
    { name: 'json', type: 'toggle', help: 'Print a JSON object' },
    { name: 'readme', type: 'string', help: 'A file with a longer text' },
  ],
  async run(context) {
    const { args, flags, terminal } = context;
    const repository = repositoryOf(args[0]!);
    const [description, readme] = [flags.text('description'), await readmeOf(flags.text('readme'))];
    return await withRegistry(context, [args[0]!], async ({ call }) => {
      const { describeRepository, hubRepository } = await import('#remote');
      if (description !== undefined || readme !== undefined) {
        const words = {
          ...(description === undefined ? {} : { description }),
          ...(readme === undefined ? {} : { readme }),
        };
        await describeRepository(call, repository, words);
        return 0;
      }
      const found = await hubRepository(call, repository);
      const lines = [
        `${found.name}${found.isOfficial ? ' (official)' : ''}: ${found.description || 'no description'}`,
        `${found.stars} stars${found.isStarred ? ', one of them yours' : ''}; ${found.pulls} pulls; pushed ${found.pushed}`,
        ...(found.readme === '' ? [] : ['', found.readme.trimEnd()]),
      ];
      terminal.stdout.write(flags.on('json') ? `${JSON.stringify(found, undefined, 2)}\n` : `${lines.join('\n')}\n`);
      return 0;
    });
  },
};

async function readmeOf(path: string | undefined): Promise<string | undefined> {
  return path === undefined ? undefined : await readFile(path, 'utf8');
}

function repositoryOf(name: string): Reference {
  const reference = parseReference(name);
  if (reference.tag !== undefined || reference.digest !== undefined)
    throw new UsageError(`${name}: a repository has neither tag nor digest`, 1);
  return reference;
}

export const registryStarCommand: Command = {
  name: 'registry star',
  usage: '[OPTIONS] HOST/REPOSITORY',
  summary: 'Give a repository of a registry of Wherry your star',
  minArgs: 1,
  maxArgs: 1,
  flags: [insecureFlag, { name: 'remove', type: 'toggle', help: 'Take it back' }],
  async run(context) {
    const repository = repositoryOf(context.args[0]!);
    return await withRegistry(context, [context.args[0]!], async ({ call }) => {
      const { starRepository } = await import('#remote');
      await starRepository(call, repository, !context.flags.on('remove'));
      return 0;
    });
  },
};

export const registryDeletedCommand: Command = {
  name: 'registry deleted',
  usage: '[OPTIONS] HOST[/REPOSITORY]',
  summary: 'List what was deleted in a registry of Wherry and can be taken back',
  minArgs: 1,
  maxArgs: 1,
  flags: [insecureFlag, { name: 'json', type: 'toggle', help: 'Print a JSON array' }],
  async run(context) {
    const { flags, args, terminal } = context;
    const where = args[0]!.includes('/') ? repositoryOf(args[0]!) : { domain: args[0]! };
    return await withRegistry(context, [referenceIn(args[0]!)], async ({ call }) => {
      const { deletedThings } = await import('#remote');
      const found = await deletedThings(call, where);
      const rows = found.map((item) => [item.repository, item.kind, item.reference, item.restorableUntil]);
      const header = ['REPOSITORY', 'KIND', 'REFERENCE', 'RESTORABLE UNTIL'];
      terminal.stdout.write(flags.on('json') ? `${JSON.stringify(found, undefined, 2)}\n` : formatTable(header, rows));
      return 0;
    });
  },
};

export const registryRestoreCommand: Command = {
  name: 'registry restore',
  usage: '[OPTIONS] NAME:TAG|NAME@DIGEST [...]',
  summary: 'Take back what was deleted in a registry of Wherry',
  minArgs: 1,
  flags: [{ name: 'blob', type: 'toggle', help: 'The digests are those of blobs' }, insecureFlag],
  async run(context) {
    for (const name of context.args) {
      const reference = parseReference(name);
      if (reference.tag === undefined && reference.digest === undefined)
        throw new UsageError(`${name}: say which tag or digest to restore`, 1);
      await withRegistry(context, [name], async ({ call }) => {
        const { restoreThing } = await import('#remote');
        await restoreThing(call, reference, { isBlob: context.flags.on('blob') });
        context.terminal.stdout.write(`Restored: ${name}\n`);
      });
    }
    return 0;
  },
};

export const registryScrubCommand: Command = {
  name: 'registry scrub',
  usage: '[OPTIONS] HOST',
  summary: 'Have a registry of Wherry look through all its blobs, and say what is damaged',
  minArgs: 1,
  maxArgs: 1,
  flags: [insecureFlag, { name: 'json', type: 'toggle', help: 'Print the report as JSON' }],
  async run(context) {
    const { flags, args, terminal } = context;
    if (args[0]!.includes('/')) throw new UsageError(`${args[0]}: a host has no path`, 1);
    return await withRegistry(context, [referenceIn(args[0]!)], async ({ call }) => {
      const { scrubRegistry } = await import('#remote');
      const report = await scrubRegistry(call, args[0]!);
      terminal.stdout.write(flags.on('json') ? `${JSON.stringify(report, undefined, 2)}\n` : reportText(report));
      return report.damaged.length === 0 ? 0 : 1;
    });
  },
};

function reportText({ blobs, bytes, damaged, orphans }: ScrubReport): string {
  const lines = [
    `${blobs} blobs of ${humanSize(bytes)}: ${damaged.length === 0 ? 'all right' : `${damaged.length} hurt`}`,
  ];
  for (const { digest, problem, affected } of damaged) {
    lines.push(`${digest} is ${problem}`);
    for (const { repository, manifest, tags } of affected)
      lines.push(`  ${repository}@${manifest}${tags.length === 0 ? '' : ` (${tags.join(', ')})`}`);
  }
  if (orphans.blobs > 0)
    lines.push(`${orphans.blobs} files of ${humanSize(orphans.bytes)} that nothing linked to are removed`);
  return `${lines.join('\n')}\n`;
}

/** Any reference on the host, for its credentials. */
function referenceIn(place: string): string {
  if (place.includes('/')) return place;
  if (!/[.:]/.test(place) && place !== 'localhost')
    throw new EngineError('invalid-argument', `${place}: want a host with a dot or a port`);
  return `${place}/any`;
}
