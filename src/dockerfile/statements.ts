import { SyntaxFault } from './location.ts';
import { isSpace, quote, splitBlanks, trimSpace } from './text.ts';

/** The words of one logical line: keyword, leading `--flags`, the rest as written. */
export interface Statement {
  readonly keyword: string;
  readonly flags: readonly string[];
  readonly rest: string;
  readonly text: string;
}

export function splitStatement(line: string, escapeToken: string): Statement {
  const [keyword, afterKeyword] = splitBlanks(trimSpace(line), 2);
  const { flags, rest } = splitFlags(afterKeyword ?? '', escapeToken);
  return { keyword: keyword ?? '', flags, rest: trimSpace(rest), text: line };
}

/** Takes `--name=value` words off the front; quotes and escapes inside them are resolved. `--` alone ends them. */
function splitFlags(text: string, escapeToken: string): { flags: string[]; rest: string } {
  const flags: string[] = [];
  let at = 0;
  while (true) {
    while (at < text.length && isSpace(text[at]!)) at++;
    if (at === text.length || !text.startsWith('--', at)) return { flags, rest: text.slice(at) };
    const word = readFlag(text, at, escapeToken);
    at = word.end;
    if (word.value === '--') return { flags, rest: text.slice(at) };
    flags.push(word.value);
  }
}

function readFlag(text: string, start: number, escapeToken: string): { value: string; end: number } {
  let value = '';
  let quoteMark = '';
  let at = start;
  for (; at < text.length; at++) {
    const character = text[at]!;
    if (quoteMark === '' && isSpace(character)) break;
    if (quoteMark === '' && (character === "'" || character === '"')) quoteMark = character;
    else if (character === quoteMark) quoteMark = '';
    else if (character === escapeToken) value += text[++at] ?? '';
    else value += character;
  }
  return { value, end: Math.min(at, text.length) };
}

/**
 * Words separated by blanks; quotes and escapes hold a word together and stay in it.
 */
export function splitWords(text: string, escapeToken: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quoteMark = '';
  const characters = [...text];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!;
    if (quoteMark === '' && isSpace(character)) {
      if (word) words.push(word);
      word = undefined;
      continue;
    }
    if (character === escapeToken && quoteMark !== "'") {
      const following = characters[++at];
      word = (word ?? '') + (following === undefined ? '' : character + following);
      continue;
    }
    if (character === quoteMark) quoteMark = '';
    else if (quoteMark === '' && (character === "'" || character === '"')) quoteMark = character;
    word = (word ?? '') + character;
  }
  if (word) words.push(word);
  return words;
}

export interface NameValue {
  readonly name: string;
  readonly value: string;
  /** Written `NAME value`, the old form. */
  readonly oldForm: boolean;
}

/** Arguments of ENV and LABEL. */
export function nameValues(rest: string, keyword: string, escapeToken: string): NameValue[] {
  const words = splitWords(rest, escapeToken);
  if (words.length === 0) return [];
  if (!words[0]!.includes('=')) {
    const [name, value] = splitBlanks(rest, 2);
    if (value === undefined) throw new SyntaxFault(`${keyword} must have two arguments`);
    return [{ name: name!, value, oldForm: true }];
  }
  return words.map((word) => {
    const equals = word.indexOf('=');
    if (equals < 0) {
      throw new SyntaxFault(`Syntax error - can't find = in ${quote(word)}. Must be of the form: name=value`);
    }
    return { name: word.slice(0, equals), value: word.slice(equals + 1), oldForm: false };
  });
}

/** A JSON array of strings, or undefined when the text is not one. @throws SyntaxFault for an array with other members. */
export function jsonStrings(rest: string): string[] | undefined {
  if (!rest.startsWith('[')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(rest);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  if (!value.every((item) => typeof item === 'string')) {
    throw new SyntaxFault('when using JSON array syntax, arrays must be comprised of strings only');
  }
  return value;
}

/** JSON form, or words at blanks. */
export function wordList(rest: string): { words: string[]; json: boolean } {
  const json = jsonStrings(rest);
  if (json) return { words: json, json: true };
  return { words: rest === '' ? [] : splitBlanks(rest), json: false };
}

/** HEALTHCHECK's first word and what follows it. */
export function splitHealthcheck(rest: string): { type: string; command: string } {
  let end = 0;
  while (end < rest.length && !isSpace(rest[end]!)) end++;
  return { type: rest.slice(0, end), command: trimSpace(rest.slice(end)) };
}

/**
 * Faults that Docker finds while it reads lines, before any instruction is looked at: they win over every later one.
 * @throws SyntaxFault
 */
export function checkStatement(statement: Statement, escapeToken: string): void {
  const keyword = statement.keyword.toLowerCase();
  switch (keyword) {
    case 'env':
    case 'label':
      nameValues(statement.rest, keyword.toUpperCase(), escapeToken);
      return;
    case 'healthcheck':
      jsonStrings(splitHealthcheck(statement.rest).command);
      return;
    case 'onbuild': {
      const trigger = splitStatement(statement.rest, escapeToken);
      if (trigger.keyword.toLowerCase() !== 'onbuild') checkStatement(trigger, escapeToken);
      return;
    }
    default:
      if (jsonKeywords.has(keyword)) jsonStrings(statement.rest);
  }
}

const jsonKeywords = new Set(['add', 'copy', 'volume', 'cmd', 'entrypoint', 'run', 'shell']);
