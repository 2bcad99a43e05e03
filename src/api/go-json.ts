import { EngineError } from '#errdefs';

/** A number as it was written: Go's decoder tells `1e3` from `1000`. */
export class JsonNumber {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

/** A JSON value whose numbers keep their spelling. Objects have no prototype, so no key is special. */
export type JsonValue =
  | null
  | boolean
  | string
  | JsonNumber
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** Go refuses deeper nesting too, at 10,000; a request to this API needs no more than ten. */
const maxDepth = 500;

/** What Go says at an unexpected end: `json.Decoder` the first, `json.Unmarshal` the second. */
type EndText = 'unexpected EOF' | 'unexpected end of JSON input';

/** The first JSON value of a body and what follows it. @throws `invalid-argument` with Go's text. */
export function decodeFirst(text: string): { value: JsonValue; rest: string } {
  const parser = new Parser(text, 'unexpected EOF');
  const value = parser.value(0);
  return { value, rest: text.slice(parser.at) };
}

/** A text that is one JSON value. @throws `invalid-argument` with Go's text. */
export function unmarshal(text: string): JsonValue {
  const parser = new Parser(text, 'unexpected end of JSON input');
  const value = parser.value(0);
  parser.space();
  if (parser.at < text.length) throw parser.unexpected('after top-level value');
  return value;
}

/** Go's name for the kind of a value. */
export function kindName(value: JsonValue): string {
  if (value === null) return 'null';
  if (value instanceof JsonNumber) return 'number';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

export function isObject(value: JsonValue): value is { readonly [key: string]: JsonValue } {
  return kindName(value) === 'object';
}

/** Recursive descent with the error texts of Go's encoding/json, which clients show to people as they are. */
class Parser {
  readonly #text: string;
  readonly #end: EndText;
  at = 0;

  constructor(text: string, end: EndText) {
    this.#text = text;
    this.#end = end;
  }

  space(): void {
    while (' \t\r\n'.includes(this.#text[this.at] ?? 'x')) this.at++;
  }

  /** An error at the character we stand on, or at the end of the text. */
  unexpected(context: string): EngineError {
    const code = this.#text.codePointAt(this.at);
    const message = code === undefined ? this.#end : `invalid character ${quoteCharacter(code)} ${context}`;
    return new EngineError('invalid-argument', message);
  }

  value(depth: number): JsonValue {
    if (depth > maxDepth) throw new EngineError('invalid-argument', 'exceeded max depth');
    this.space();
    const first = this.#text[this.at];
    if (first === '{') return this.#object(depth);
    if (first === '[') return this.#array(depth);
    if (first === '"') return this.#string();
    if (first === 't') return this.#literal('true', true);
    if (first === 'f') return this.#literal('false', false);
    if (first === 'n') return this.#literal('null', null);
    if (first === '-' || (first !== undefined && first >= '0' && first <= '9')) return this.#number();
    throw this.unexpected('looking for beginning of value');
  }

  #object(depth: number): JsonValue {
    const object: { [key: string]: JsonValue } = Object.create(null);
    this.at++;
    this.space();
    if (this.#text[this.at] === '}') {
      this.at++;
      return object;
    }
    while (true) {
      this.space();
      if (this.#text[this.at] !== '"') throw this.unexpected('looking for beginning of object key string');
      const key = this.#string();
      this.space();
      if (this.#text[this.at] !== ':') throw this.unexpected('after object key');
      this.at++;
      object[key] = this.value(depth + 1);
      this.space();
      const next = this.#text[this.at];
      if (next === '}') break;
      if (next !== ',') throw this.unexpected('after object key:value pair');
      this.at++;
    }
    this.at++;
    return object;
  }

  #array(depth: number): JsonValue {
    const array: JsonValue[] = [];
    this.at++;
    this.space();
    if (this.#text[this.at] === ']') {
      this.at++;
      return array;
    }
    while (true) {
      array.push(this.value(depth + 1));
      this.space();
      const next = this.#text[this.at];
      if (next === ']') break;
      if (next !== ',') throw this.unexpected('after array element');
      this.at++;
    }
    this.at++;
    return array;
  }

  #literal<T extends boolean | null>(word: string, value: T): T {
    for (const letter of word) {
      if (this.#text[this.at] !== letter) {
        throw this.unexpected(`in literal ${word} (expecting '${letter}')`);
      }
      this.at++;
    }
    return value;
  }

  #number(): JsonNumber {
    const start = this.at;
    if (this.#text[this.at] === '-') this.at++;
    if (this.#text[this.at] === '0') this.at++;
    else this.#digits();
    if (this.#text[this.at] === '.') {
      this.at++;
      this.#digits();
    }
    if (this.#text[this.at] === 'e' || this.#text[this.at] === 'E') {
      this.at++;
      if (this.#text[this.at] === '+' || this.#text[this.at] === '-') this.at++;
      this.#digits();
    }
    return new JsonNumber(this.#text.slice(start, this.at));
  }

  #digits(): void {
    const isDigit = () => /^[0-9]$/.test(this.#text[this.at] ?? '');
    if (!isDigit()) throw this.unexpected('in numeric literal');
    while (isDigit()) this.at++;
  }

  #string(): string {
    const start = this.at;
    this.at++;
    while (true) {
      const code = this.#text.charCodeAt(this.at);
      if (Number.isNaN(code)) throw this.unexpected('');
      if (code < 0x20) throw this.unexpected('in string');
      if (code === 0x22) break;
      if (code === 0x5c) this.#escape();
      else this.at++;
    }
    this.at++;
    return JSON.parse(this.#text.slice(start, this.at)) as string;
  }

  #escape(): void {
    const sequence = /^\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.exec(this.#text.slice(this.at, this.at + 6));
    if (sequence) {
      this.at += sequence[0].length;
      return;
    }
    const bad = this.#text.slice(this.at, this.at + (this.#text[this.at + 1] === 'u' ? 6 : 2));
    if (this.at + bad.length >= this.#text.length) throw new EngineError('invalid-argument', this.#end);
    throw new EngineError('invalid-argument', `invalid escape sequence \`${bad}\` in string`);
  }
}

function quoteCharacter(code: number): string {
  if (code === 0x27) return `'\\''`;
  if (code === 0x5c) return `'\\\\'`;
  if (code === 0x0a) return `'\\n'`;
  if (code === 0x0d) return `'\\r'`;
  if (code === 0x09) return `'\\t'`;
  if (code < 0x20 || code === 0x7f) return `'\\x${code.toString(16).padStart(2, '0')}'`;
  return `'${String.fromCodePoint(code)}'`;
}
