import { EngineError } from '#errdefs';
import { familiarName, parseReference, withDefaultTag } from '#reference';
import type { Command } from '../command.ts';
import { UsageError } from '../flags.ts';
import { insecureFlag, withRegistry } from '../registry-call.ts';
import { ellipsis, formatTable } from '../table.ts';
import { parseFilters } from './images.ts';

export const tagsCommand: Command = {
  name: 'tags',
  usage: '[OPTIONS] REPOSITORY',
  summary: 'List the tags of a repository in its registry (no daemon needed)',
  minArgs: 1,
  maxArgs: 1,
  flags: [
    { name: 'digests', type: 'toggle', help: 'Show what each tag points to' },
    insecureFlag,
    { name: 'json', type: 'toggle', help: 'Print a JSON array' },
  ],
  async run(context) {
    const { flags, args, terminal } = context;
    const name = args[0]!;
    const reference = parseReference(name);
    if (reference.tag !== undefined || reference.digest !== undefined)
      throw new UsageError(`${name}: a repository has neither tag nor digest`, 1);
    return await withRegistry(context, [name], async ({ call }) => {
      const { listTags } = await import('#remote');
      const tags = await listTags(call, reference, { digests: flags.on('digests') });
      const lines = tags.map(({ tag, digest }) => (digest ? `${tag}  ${digest}` : tag));
      const bare = flags.on('digests') ? tags : tags.map(({ tag }) => tag);
      const text = flags.on('json') ? JSON.stringify(bare, undefined, 2) : lines.join('\n');
      if (text !== '') terminal.stdout.write(`${text}\n`);
      return 0;
    });
  },
};

export const searchCommand: Command = {
  name: 'search',
  usage: '[OPTIONS] [HOST/]TERM',
  summary: 'Search Docker Hub or another registry for images (no daemon needed)',
  minArgs: 1,
  maxArgs: 1,
  flags: [
    { name: 'filter', short: 'f', type: 'list', value: 'filter', help: 'is-official=true|false, stars=NUMBER' },
    insecureFlag,
    { name: 'json', type: 'toggle', help: 'Print a JSON array' },
    { name: 'limit', type: 'int', help: 'Max number of search results' },
    { name: 'no-trunc', type: 'toggle', help: "Don't truncate output" },
  ],
  async run(context) {
    const { flags, args, terminal } = context;
    const term = args[0]!;
    const options = { limit: flags.number('limit'), ...searchFilters(flags.list('filter')) };
    return await withRegistry(context, [searchedHost(term)], async ({ call }) => {
      const { searchRemote } = await import('#remote');
      const found = await searchRemote(call, term, options);
      if (flags.on('json')) {
        terminal.stdout.write(`${JSON.stringify(found, undefined, 2)}\n`);
        return 0;
      }
      const rows = found.map((result) => {
        const text = result.description.replaceAll(/[\r\n]+/g, ' ');
        const description = flags.on('no-trunc') ? text : ellipsis(text, 45);
        return [result.name, description, String(result.star_count), result.is_official ? '[OK]' : ''];
      });
      terminal.stdout.write(formatTable(['NAME', 'DESCRIPTION', 'STARS', 'OFFICIAL'], rows));
      return 0;
    });
  },
};

/** Any reference on the host that a term is searched on. */
function searchedHost(term: string): string {
  const [first = '', ...rest] = term.split('/');
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return isHost ? `${first}/search` : 'search';
}

/** As dockerd reads them. */
function searchFilters(lines: readonly string[]) {
  const { 'is-official': official, 'is-automated': automated, stars, ...others } = parseFilters(lines);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new EngineError('invalid-argument', `invalid filter '${unknown}'`);
  return {
    isOfficial: booleanOf('is-official', official),
    isAutomated: booleanOf('is-automated', automated),
    minStars: Math.max(0, ...(stars ?? []).map(starsOf)),
  };
}

function booleanOf(name: string, values: readonly string[] | undefined): boolean | undefined {
  if (values === undefined) return undefined;
  if (values.length === 1 && /^(1|true)$/.test(values[0]!)) return true;
  if (values.length === 1 && /^(0|false)$/.test(values[0]!)) return false;
  throw new EngineError('invalid-argument', `invalid filter '${name}=[${values.join(' ')}]'`);
}

function starsOf(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new EngineError('invalid-argument', `invalid filter 'stars=${text}': not a number`);
}

export const deleteCommand: Command = {
  name: 'delete',
  usage: '[OPTIONS] NAME:TAG|NAME@DIGEST [...]',
  summary: 'Delete images or tags from their registry (no daemon needed)',
  minArgs: 1,
  flags: [
    {
      name: 'all-tags',
      type: 'toggle',
      help: 'Where the registry deletes images only: also delete the other tags of the same image',
    },
    insecureFlag,
  ],
  async run(context) {
    for (const name of context.args) {
      const parsed = parseReference(name);
      if (parsed.tag === undefined && parsed.digest === undefined)
        throw new UsageError(`${name}: say which tag or digest to delete`, 1);
      await withRegistry(context, [name], async ({ call }) => {
        const { deleteRemote } = await import('#remote');
        const deleted = await deleteRemote(call, withDefaultTag(parsed), { allTags: context.flags.on('all-tags') });
        const repository = familiarName(parsed);
        for (const tag of deleted.tags) context.terminal.stdout.write(`Untagged: ${repository}:${tag}\n`);
        if (!deleted.isUntagged) context.terminal.stdout.write(`Deleted: ${repository}@${deleted.digest}\n`);
      });
    }
    return 0;
  },
};
