import type { AddInstruction, CopyInstruction, InlineFile } from './ast.ts';
import { type FlagValues, parseFlags } from './flags.ts';
import { parseHeredoc } from './heredoc.ts';
import { SyntaxFault } from './location.ts';
import { inlineFiles, type Parsing } from './parsing.ts';
import { wordList } from './statements.ts';

const commonFlags = { chown: 'string', chmod: 'string', link: 'bool', exclude: 'strings' } as const;
const addFlags = { ...commonFlags, 'keep-git-dir': 'bool', checksum: 'string', unpack: 'bool' } as const;
const copyFlags = { ...commonFlags, from: 'string', parents: 'bool' } as const;

export function parseAdd(parsing: Parsing): AddInstruction {
  const words = twoOrMore(parsing, 'ADD');
  const flags = parseFlags(parsing.line.statement.flags, addFlags);
  return {
    kind: 'add',
    ...parsing.placed,
    ...sourcesAndDestination(parsing, words, 'ADD'),
    ...common(flags),
    checksum: flags.checksum ?? '',
    ...(flags['keep-git-dir'] === undefined ? {} : { keepGitDir: flags['keep-git-dir'] }),
    ...(flags.unpack === undefined ? {} : { unpack: flags.unpack }),
  };
}

export function parseCopy(parsing: Parsing): CopyInstruction {
  const words = twoOrMore(parsing, 'COPY');
  const flags = parseFlags(parsing.line.statement.flags, copyFlags);
  return {
    kind: 'copy',
    ...parsing.placed,
    ...sourcesAndDestination(parsing, words, 'COPY'),
    ...common(flags),
    from: flags.from ?? '',
    parents: flags.parents ?? false,
  };
}

function common(flags: FlagValues<typeof commonFlags>) {
  return {
    chown: flags.chown ?? '',
    chmod: flags.chmod ?? '',
    link: flags.link ?? false,
    excludes: flags.exclude ?? [],
  };
}

function twoOrMore(parsing: Parsing, keyword: string): readonly string[] {
  const { words } = wordList(parsing.line.statement.rest);
  if (words.length < 2) {
    throw new SyntaxFault(
      `${keyword} requires at least two arguments, but only one was provided. Destination could not be determined`,
    );
  }
  return words;
}

function sourcesAndDestination(parsing: Parsing, words: readonly string[], keyword: string) {
  const destination = words.at(-1)!;
  if (parseHeredoc(destination)) throw new SyntaxFault(`${keyword} cannot accept a heredoc as a destination`);
  const bodies = new Map(inlineFiles(parsing.line.heredocs).map((file) => [file.name, file]));
  const sources: string[] = [];
  const inline: InlineFile[] = [];
  for (const word of words.slice(0, -1)) {
    const heredoc = parsing.line.heredocs.length > 0 ? parseHeredoc(word) : undefined;
    const file = heredoc ? bodies.get(heredoc.name) : undefined;
    if (file) inline.push(file);
    else sources.push(word);
  }
  return { sources, inline, destination };
}
