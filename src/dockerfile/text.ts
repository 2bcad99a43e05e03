/** Go's ideas of white space, quoting, numbers and durations: Dockerfile texts and messages are made of them. */

const space = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
const leadingSpace = new RegExp(`^${space.source}+`);
const trailingSpace = new RegExp(`${space.source}$`);

/** `unicode.IsSpace`. */
export function isSpace(character: string): boolean {
  return space.test(character);
}

export function trimLeft(text: string): string {
  return text.replace(leadingSpace, '');
}

/** `strings.TrimSpace`. Walks back by hand: a regular expression for trailing space is quadratic on hostile text. */
export function trimSpace(text: string): string {
  const start = trimLeft(text);
  let end = start.length;
  while (end > 0 && trailingSpace.test(start[end - 1]!)) end--;
  return start.slice(0, end);
}

/** Splits at runs of blanks inside one logical line, at most `limit` parts. */
export function splitBlanks(text: string, limit = Number.POSITIVE_INFINITY): string[] {
  const parts: string[] = [];
  let rest = text;
  while (parts.length < limit - 1) {
    const gap = /[\t\v\f\r ]+/.exec(rest);
    if (!gap) break;
    parts.push(rest.slice(0, gap.index));
    rest = rest.slice(gap.index + gap[0].length);
  }
  parts.push(rest);
  return parts;
}

const shortEscapes: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
};

function quoteCharacter(character: string): string {
  if (character === '"') return '\\"';
  const short = shortEscapes[character];
  if (short !== undefined) return short;
  if (character === ' ' || /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(character)) return character;
  const code = character.codePointAt(0)!;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code >= 0xd800 && code < 0xe000) return '\ufffd';
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`;
}

/** `%q` of a string. */
export function quote(text: string): string {
  let quoted = '"';
  for (const character of text) quoted += quoteCharacter(character);
  return `${quoted}"`;
}

/** `%q` of a list of strings: `["sh" "-c"]`. */
export function quoteList(items: readonly string[]): string {
  return `[${items.map(quote).join(' ')}]`;
}
