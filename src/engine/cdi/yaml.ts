import { EngineError } from '#errdefs';

/**
 * The YAML that generators of CDI specifications write: block maps and lists, plain and quoted scalars, flow lists and maps
 * on one line. Anchors, tags, block scalars and several documents are refused: a specification says what a container is
 * given, so nothing of it is guessed.
 * @throws `invalid-argument` naming the line.
 */
export function parseYaml(text: string): unknown {
  const lines = text.split('\n').flatMap(readLine);
  if (lines.length === 0) return null;
  const reader = new Blocks(lines);
  const value = reader.block(lines[0]!.indent);
  reader.expectEnd();
  return value;
}

interface Line {
  readonly number: number;
  readonly indent: number;
  readonly text: string;
}

const fault = (line: Line | undefined, what: string) =>
  new EngineError('invalid-argument', `YAML line ${line?.number ?? 'at the end'}: ${what}`);

function readLine(raw: string, at: number): Line[] {
  const text = withoutComment(raw).trimEnd();
  const indent = text.length - text.trimStart().length;
  const line = { number: at + 1, indent, text: text.trimStart() };
  if (line.text === '' || (line.text === '---' && indent === 0)) return [];
  if (raw.slice(0, indent).includes('\t')) throw fault(line, 'a tab as indentation');
  return [line];
}

function withoutComment(raw: string): string {
  let quote = '';
  for (let at = 0; at < raw.length; at++) {
    const letter = raw[at]!;
    if (quote === '"' && letter === '\\') at++;
    else if (quote !== '') quote = letter === quote ? '' : quote;
    else if (letter === '"' || letter === "'") quote = letter;
    else if (letter === '#' && (at === 0 || raw[at - 1] === ' ')) return raw.slice(0, at);
  }
  return raw;
}

const keyPattern = /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'[\]{},&*!|>%@`][^:]*?)\s*:(?:\s+(.*))?$/;

class Blocks {
  readonly #lines: Line[];
  #at = 0;

  constructor(lines: Line[]) {
    this.#lines = lines;
  }

  block(indent: number): unknown {
    const line = this.#lines[this.#at];
    if (line === undefined || line.indent < indent) return null;
    if (isItem(line.text)) return this.#list(line.indent);
    if (keyPattern.test(line.text)) return this.#map(line.indent);
    this.#at++;
    return scalar(line.text, line);
  }

  expectEnd(): void {
    if (this.#at < this.#lines.length) throw fault(this.#lines[this.#at], 'not part of what stands before it');
  }

  #list(indent: number): unknown[] {
    const items: unknown[] = [];
    for (let line = this.#lines[this.#at]; line?.indent === indent && isItem(line.text); line = this.#lines[this.#at]) {
      const rest = line.text.slice(1).trimStart();
      if (rest === '') {
        this.#at++;
        items.push(this.block(indent + 1));
        continue;
      }
      // What follows the dash is a block that starts in its own column.
      const column = indent + line.text.length - rest.length;
      this.#lines[this.#at] = { ...line, indent: column, text: rest };
      items.push(this.block(column));
    }
    return items;
  }

  #map(indent: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (
      let line = this.#lines[this.#at];
      line?.indent === indent && !isItem(line.text);
      line = this.#lines[this.#at]
    ) {
      const [, key = '', value = ''] = keyPattern.exec(line.text) ?? [];
      if (key === '') throw fault(line, 'neither a key nor an item');
      this.#at++;
      map[String(scalar(key, line))] = value === '' ? this.#nested(indent) : scalar(value, line);
    }
    return map;
  }

  /** A list below a key may stand in the key's own column. */
  #nested(indent: number): unknown {
    const next = this.#lines[this.#at];
    return this.block(next !== undefined && next.indent === indent && isItem(next.text) ? indent : indent + 1);
  }
}

const isItem = (text: string) => text === '-' || text.startsWith('- ');

function scalar(text: string, line: Line): unknown {
  if (text.startsWith('[')) return flow(text, line, ']').map((item) => scalar(item, line));
  if (text.startsWith('{')) return Object.fromEntries(flow(text, line, '}').map((item) => flowEntry(item, line)));
  if (text.startsWith('"')) return doubleQuoted(text, line);
  if (text.startsWith("'")) {
    if (!/^'(?:[^']|'')*'$/.test(text)) throw fault(line, 'an open quote');
    return text.slice(1, -1).replaceAll("''", "'");
  }
  if (/^[&*!|>%@`]/.test(text)) throw fault(line, `${text[0]} is not understood here`);
  if (/^(?:null|~|)$/.test(text)) return null;
  if (/^(?:true|false)$/.test(text)) return text === 'true';
  if (/^0o[0-7]+$/.test(text)) return Number.parseInt(text.slice(2), 8);
  return /^-?\d+$/.test(text) ? Number(text) : text;
}

function doubleQuoted(text: string, line: Line): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    throw fault(line, 'an open quote, or an escape that is not understood');
  }
}

/** The parts of `[a, "b, c"]`; lists in lists are not taken apart. */
function flow(text: string, line: Line, end: string): string[] {
  if (!text.endsWith(end) || /[[{]/.test(text.slice(1)))
    throw fault(line, 'a flow collection of more than one level or line');
  const parts = text.slice(1, -1).match(/\s*(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,"'])+\s*/g) ?? [];
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

function flowEntry(text: string, line: Line): [string, unknown] {
  const [, key = '', value = ''] = keyPattern.exec(text) ?? [];
  if (key === '') throw fault(line, 'an entry without a key');
  return [String(scalar(key, line)), scalar(value, line)];
}
