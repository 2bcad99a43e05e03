import type { ArgDefinition, FromInstruction, Instruction, OnbuildInstruction } from './ast.ts';
import { parseCommand, parseHealthcheck, parseRun, parseShell } from './commands.ts';
import { parseAdd, parseCopy } from './file-sources.ts';
import { parseFlags } from './flags.ts';
import type { Line } from './lines.ts';
import { SyntaxFault } from './location.ts';
import type { Parsing } from './parsing.ts';
import { nameValues, splitStatement, splitWords, wordList } from './statements.ts';
import { didYouMean } from './suggest.ts';
import { quote, splitBlanks, trimSpace } from './text.ts';

const keywords = [
  ...['ADD', 'ARG', 'CMD', 'COPY', 'ENTRYPOINT', 'ENV', 'EXPOSE', 'FROM', 'HEALTHCHECK', 'LABEL', 'MAINTAINER'],
  ...['ONBUILD', 'RUN', 'SHELL', 'STOPSIGNAL', 'USER', 'VOLUME', 'WORKDIR'],
];

const parsers: Readonly<Record<string, (parsing: Parsing) => Instruction | FromInstruction>> = {
  add: parseAdd,
  arg: parseArg,
  cmd: (parsing) => ({ kind: 'cmd', ...parsing.placed, command: parseCommand(parsing) }),
  copy: parseCopy,
  entrypoint: (parsing) => ({ kind: 'entrypoint', ...parsing.placed, command: parseCommand(parsing) }),
  env: (parsing) => ({ kind: 'env', ...parsing.placed, pairs: parsePairs(parsing, 'ENV') }),
  expose: parseExpose,
  from: parseFrom,
  healthcheck: parseHealthcheck,
  label: (parsing) => ({ kind: 'label', ...parsing.placed, pairs: parsePairs(parsing, 'LABEL') }),
  maintainer: (parsing) => ({ kind: 'maintainer', ...parsing.placed, maintainer: oneText(parsing, 'MAINTAINER') }),
  onbuild: parseOnbuild,
  run: parseRun,
  shell: parseShell,
  stopsignal: (parsing) => ({ kind: 'stopsignal', ...parsing.placed, signal: oneText(parsing, 'STOPSIGNAL') }),
  user: (parsing) => ({ kind: 'user', ...parsing.placed, user: oneText(parsing, 'USER') }),
  volume: parseVolume,
  workdir: (parsing) => ({ kind: 'workdir', ...parsing.placed, path: oneText(parsing, 'WORKDIR') }),
};

/** One line to a typed instruction. @throws SyntaxFault with BuildKit's words, without a line number. */
export function parseLine(line: Line, escapeToken: string): Instruction | FromInstruction {
  const { keyword, text } = line.statement;
  const name = keyword.toLowerCase();
  const parser = Object.hasOwn(parsers, name) ? parsers[name] : undefined;
  if (!parser) {
    const shown = keyword.length > 200 ? `${keyword.slice(0, 200)}…` : keyword;
    throw new SyntaxFault(`unknown instruction: ${shown}${didYouMean(keyword, keywords, { ignoreCase: true })}`);
  }
  return parser({ line, escape: escapeToken, placed: { keyword, source: trimSpace(text), range: line.range } });
}

function noFlags(parsing: Parsing): void {
  parseFlags(parsing.line.statement.flags, {});
}

/** The whole rest of the line is the argument. */
function oneText(parsing: Parsing, keyword: string): string {
  const { rest } = parsing.line.statement;
  if (rest === '') throw new SyntaxFault(`${keyword} requires exactly one argument`);
  noFlags(parsing);
  return rest;
}

function parsePairs(parsing: Parsing, keyword: string) {
  noFlags(parsing);
  const pairs = nameValues(parsing.line.statement.rest, keyword, parsing.escape);
  if (pairs.length === 0) throw new SyntaxFault(`${keyword} requires at least one argument`);
  if (pairs.some((pair) => pair.name === '')) throw new SyntaxFault(`${keyword} names can not be blank`);
  return pairs;
}

function parseArg(parsing: Parsing): Instruction {
  const words = splitWords(parsing.line.statement.rest, parsing.escape);
  if (words.length === 0) throw new SyntaxFault('ARG requires at least one argument');
  noFlags(parsing);
  const definitions = words.map((word): ArgDefinition => {
    const equals = word.indexOf('=');
    if (equals === 0) throw new SyntaxFault('ARG names can not be blank');
    const name = equals < 0 ? word : word.slice(0, equals);
    const comment = describedBy(parsing.line.comments, name);
    return {
      name,
      ...(equals < 0 ? {} : { value: word.slice(equals + 1) }),
      ...(comment === undefined ? {} : { comment }),
    };
  });
  return { kind: 'arg', ...parsing.placed, definitions, ...commentsOf(parsing) };
}

function describedBy(comments: readonly string[], name: string): string | undefined {
  return name === '' ? undefined : comments.find((text) => text.startsWith(`${name} `))?.slice(name.length + 1);
}

function parseExpose(parsing: Parsing): Instruction {
  const { rest } = parsing.line.statement;
  if (rest === '') throw new SyntaxFault('EXPOSE requires at least one argument');
  noFlags(parsing);
  return { kind: 'expose', ...parsing.placed, ports: splitBlanks(rest).sort() };
}

function parseVolume(parsing: Parsing): Instruction {
  const { words } = wordList(parsing.line.statement.rest);
  if (words.length === 0) throw new SyntaxFault('VOLUME requires at least one argument');
  noFlags(parsing);
  const volumes = words.map(trimSpace);
  if (volumes.includes('')) throw new SyntaxFault('VOLUME specified can not be an empty string');
  return { kind: 'volume', ...parsing.placed, volumes };
}

function parseFrom(parsing: Parsing): FromInstruction {
  const { rest, flags } = parsing.line.statement;
  const words = rest === '' ? [] : splitBlanks(rest);
  const name = stageName(words);
  const { platform = '' } = parseFlags(flags, { platform: 'string' });
  const comment = describedBy(parsing.line.comments, name);
  return {
    kind: 'from',
    ...parsing.placed,
    baseName: words[0]!,
    name,
    platform,
    ...(comment === undefined ? {} : { comment }),
    ...commentsOf(parsing),
  };
}

function commentsOf({ line: { comments } }: Parsing): { comments?: readonly string[] } {
  return comments.length === 0 ? {} : { comments };
}

function stageName(words: readonly string[]): string {
  if (words.length === 1) return '';
  if (words.length !== 3 || words[1]!.toLowerCase() !== 'as') {
    throw new SyntaxFault('FROM requires either one or three arguments');
  }
  const name = words[2]!.toLowerCase();
  if (!/^[a-z][a-z0-9\-_.]*$/.test(name)) {
    throw new SyntaxFault(
      `invalid name for build stage: ${quote(words[2]!)}, name can't start with a number or contain symbols`,
    );
  }
  return name;
}

function parseOnbuild(parsing: Parsing): OnbuildInstruction {
  const { rest, text } = parsing.line.statement;
  if (rest === '') throw new SyntaxFault('ONBUILD requires at least one argument');
  noFlags(parsing);
  const trigger = splitStatement(rest, parsing.escape).keyword.toUpperCase();
  if (trigger === 'ONBUILD') throw new SyntaxFault("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (trigger === 'FROM' || trigger === 'MAINTAINER') {
    throw new SyntaxFault(`${trigger} isn't allowed as an ONBUILD trigger`);
  }
  const bodies = parsing.line.heredocs.map((body) => `\n${body.content}${body.name}`);
  const expression = text.replace(/^\s*ONBUILD\s*/i, '') + bodies.join('');
  return { kind: 'onbuild', ...parsing.placed, expression };
}
