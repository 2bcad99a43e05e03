import { EngineError } from '#errdefs';

/** A JSON object from outside, with the document's name for messages. */
export interface Fields {
  readonly what: string;
  readonly values: Readonly<Record<string, unknown>>;
}

export function invalid(what: string, fact: string): EngineError {
  return new EngineError('invalid-argument', `parse ${what}: ${fact}`);
}

/** Decodes one JSON object of bounded size. Nesting costs nothing: the parser is iterative. */
export function parseObject(bytes: Uint8Array, limitBytes: number, what: string): Fields {
  if (bytes.byteLength > limitBytes) throw invalid(what, `larger than ${limitBytes} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch (cause) {
    throw new EngineError('invalid-argument', `parse ${what}: invalid JSON`, { cause });
  }
  return asFields(value, what);
}

export function asFields(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(what, 'not an object');
  return { what, values: value as Record<string, unknown> };
}

/** Own properties only, and JSON `null` counts as absent, as in Go. */
export function field(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields.values, name) ? (fields.values[name] ?? undefined) : undefined;
}

export function has(fields: Fields, name: string): boolean {
  return field(fields, name) !== undefined;
}

export function text(fields: Fields, name: string): string | undefined {
  const value = field(fields, name);
  if (value === undefined || typeof value === 'string') return value;
  throw invalid(fields.what, `${name} is not a string`);
}

export function integer(fields: Fields, name: string): number | undefined {
  const value = field(fields, name);
  if (value === undefined || (typeof value === 'number' && Number.isInteger(value))) return value;
  throw invalid(fields.what, `${name} is not an integer`);
}

export function flag(fields: Fields, name: string): boolean | undefined {
  const value = field(fields, name);
  if (value === undefined || typeof value === 'boolean') return value;
  throw invalid(fields.what, `${name} is not a boolean`);
}

export function list(fields: Fields, name: string): readonly unknown[] | undefined {
  const value = field(fields, name);
  if (value === undefined || Array.isArray(value)) return value;
  throw invalid(fields.what, `${name} is not an array`);
}

export function texts(fields: Fields, name: string): readonly string[] | undefined {
  const values = list(fields, name);
  if (values === undefined || values.every((value) => typeof value === 'string')) return values;
  throw invalid(fields.what, `${name} is not an array of strings`);
}

/** A map of strings. Made with `fromEntries`, so that `__proto__` is a key like any other. */
export function textMap(fields: Fields, name: string): Readonly<Record<string, string>> | undefined {
  const value = field(fields, name);
  if (value === undefined) return undefined;
  const entries = Object.entries(asFields(value, `${fields.what} ${name}`).values);
  if (entries.some(([, entry]) => typeof entry !== 'string' && entry !== null)) {
    throw invalid(fields.what, `${name} is not a map of strings`);
  }
  return Object.fromEntries(entries.map(([key, entry]) => [key, (entry as string | null) ?? '']));
}

/** Go's `map[string]struct{}`: the keys count, the values are empty objects. */
export function keySet(fields: Fields, name: string): Readonly<Record<string, Record<string, never>>> | undefined {
  const value = field(fields, name);
  if (value === undefined) return undefined;
  const keys = Object.keys(asFields(value, `${fields.what} ${name}`).values);
  return Object.fromEntries(keys.map((key) => [key, {}]));
}

/** Drops the absent ones, so that exact optional properties stay absent. */
export function present<T extends object>(
  value: T,
): { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
} {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as never;
}
