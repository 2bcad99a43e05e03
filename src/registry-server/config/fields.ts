import { EngineError } from '#errdefs';

/** A JSON object that is read field by field; what is left at the end was a mistake. */
export class Fields {
  readonly #what: string;
  readonly #left: Map<string, unknown>;

  private constructor(what: string, fields: object) {
    this.#what = what;
    this.#left = new Map(Object.entries(fields));
  }

  /** Reads an object whole. @throws `invalid-argument` when it is none or has fields that `read` did not ask for. */
  static read<T>(value: unknown, what: string, read: (fields: Fields) => T): T {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(what, 'want an object');
    const fields = new Fields(what, value);
    const result = read(fields);
    const [unknown] = fields.#left.keys();
    if (unknown !== undefined) throw invalid(what, `unknown field ${JSON.stringify(unknown)}`);
    return result;
  }

  text(name: string): string | undefined {
    return this.#take(name, 'a text', (value): value is string => typeof value === 'string' && value !== '');
  }

  flag(name: string): boolean | undefined {
    return this.#take(name, 'true or false', (value): value is boolean => typeof value === 'boolean');
  }

  /** Not below zero. */
  number(name: string): number | undefined {
    const isNumber = (value: unknown): value is number => typeof value === 'number' && value >= 0;
    return this.#take(name, 'a number, not below zero', isNumber);
  }

  texts(name: string): readonly string[] | undefined {
    const isTexts = (value: unknown): value is string[] =>
      Array.isArray(value) && value.every((entry) => typeof entry === 'string' && entry !== '');
    return this.#take(name, 'a list of texts', isTexts);
  }

  object<T>(name: string, read: (fields: Fields) => T): T | undefined {
    const value = this.#take(name, 'an object', (value): value is object => typeof value === 'object');
    return value === undefined ? undefined : Fields.read(value, `${this.#what} ${name}`, read);
  }

  objects<T>(name: string, read: (fields: Fields) => T): readonly T[] {
    const list = this.#take(name, 'a list', (value): value is unknown[] => Array.isArray(value)) ?? [];
    return list.map((value, at) => Fields.read(value, `${this.#what} ${name}[${at}]`, read));
  }

  need<T>(name: string, value: T | undefined): T {
    if (value === undefined) throw invalid(this.#what, `${name} is missing`);
    return value;
  }

  /** @throws `invalid-argument` about this object. */
  refuse(why: string): never {
    throw invalid(this.#what, why);
  }

  #take<T>(name: string, wanted: string, is: (value: unknown) => value is T): T | undefined {
    const value = this.#left.get(name);
    this.#left.delete(name);
    if (value === undefined) return undefined;
    if (!is(value)) throw invalid(this.#what, `${name}: want ${wanted}`);
    return value;
  }
}

function invalid(what: string, why: string): EngineError {
  return new EngineError('invalid-argument', `read ${what}: ${why}`);
}
