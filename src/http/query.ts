import { EngineError } from '#errdefs';

/**
 * A query string as Go's `net/url` reads it: repeated keys kept in order, `+` is a space, a broken escape or a semicolon is an error.
 * The typed getters follow dockerd's: see each.
 */
export class Query {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  private constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  /** `text` is without its leading `?`. @throws `invalid-argument`. */
  static parse(text: string): Query {
    const values = new Map<string, string[]>();
    for (const part of text.split('&')) {
      if (part === '') continue;
      if (part.includes(';')) {
        throw new EngineError('invalid-argument', 'invalid semicolon separator in query');
      }
      const at = part.indexOf('=');
      const key = unescapeGo(at < 0 ? part : part.slice(0, at));
      const value = at < 0 ? '' : unescapeGo(part.slice(at + 1));
      const known = values.get(key);
      if (known === undefined) values.set(key, [value]);
      else known.push(value);
    }
    return new Query(values);
  }

  keys(): Iterable<string> {
    return this.#values.keys();
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  /** The first value, or the empty string. */
  get(key: string): string {
    return this.#values.get(key)?.[0] ?? '';
  }

  /** The first value when it is not empty. */
  text(key: string): string | undefined {
    return this.get(key) || undefined;
  }

  all(key: string): readonly string[] {
    return this.#values.get(key) ?? [];
  }

  /** dockerd's lenient bool: everything is true but empty, `0`, `no`, `false` and `none`, in any case. */
  bool(key: string): boolean {
    return !['', '0', 'no', 'false', 'none'].includes(this.get(key).trim().toLowerCase());
  }

  /** Like {@link bool}, with `fallback` when the key is absent. */
  boolOr(key: string, fallback: boolean): boolean {
    return this.has(key) ? this.bool(key) : fallback;
  }

  /** Go's `strconv.Atoi`; undefined when absent or empty. @throws `unknown` (dockerd answers 500 there). */
  integer(key: string): number | undefined {
    const text = this.get(key);
    return text === '' ? undefined : parseInteger(text, 'Atoi', 'unknown');
  }
}

/** Go's strconv.Atoi and ParseInt with their error texts. */
export function parseInteger(
  text: string,
  go: 'Atoi' | 'ParseInt' = 'Atoi',
  kind: 'invalid-argument' | 'unknown' = 'invalid-argument',
): number {
  const quoted = JSON.stringify(text);
  if (!/^[+-]?[0-9]+$/.test(text)) {
    throw new EngineError(kind, `strconv.${go}: parsing ${quoted}: invalid syntax`);
  }
  const value = BigInt(text.replace(/^\+/, ''));
  if (value > 0x7fffffffffffffffn || value < -0x8000000000000000n) {
    throw new EngineError(kind, `strconv.${go}: parsing ${quoted}: value out of range`);
  }
  return Number(value);
}

/** Go's strconv.ParseBool: undefined when the text is none of its words. */
export function parseBool(text: string): boolean | undefined {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  return undefined;
}

function unescapeGo(text: string): string {
  const bad = /%(?![0-9a-fA-F]{2}).{0,2}/s.exec(text);
  if (bad) throw new EngineError('invalid-argument', `invalid URL escape ${JSON.stringify(bad[0])}`);
  if (!text.includes('%')) return text.replaceAll('+', ' ');
  const bytes = Buffer.from(text.replaceAll('+', ' '), 'utf8').toString('latin1');
  const plain = bytes.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(plain, 'latin1').toString('utf8');
}

/** Builds a query string; undefined values are left out, lists repeat their key. Empty gives the empty string, else it starts with `?`. */
export function formatQuery(
  values: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>,
): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value === undefined) continue;
    if (typeof value === 'object') for (const item of value) query.append(key, item);
    else query.append(key, value === true ? '1' : value === false ? '0' : String(value));
  }
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
