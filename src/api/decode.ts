import { EngineError } from '#errdefs';
import { isObject, JsonNumber, type JsonValue, kindName } from './go-json.ts';

/**
 * Turns a JSON value into a typed one by the rules of Go's encoding/json: null leaves a field unset, unknown fields are skipped, names match in any case.
 * `path` is where the value sits (`.HostConfig.Mounts.0`), for Go's error text.
 */
export interface Decoder<T> {
  readonly goType: string;
  decode(value: JsonValue, path: string): T;
}

/** Decoders for every field of T: a field that is missing here would silently be ignored, so none may be. */
export type Fields<T> = { readonly [K in keyof T]-?: Decoder<NonNullable<T[K]>> };

export function typeError(value: JsonValue, path: string, goType: string): EngineError {
  const what = value instanceof JsonNumber && isNumeric(goType) ? `number ${value.source}` : kindName(value);
  const element = /\.\d+$/.test(path) ? '' : 'Go struct field ';
  const where = path === '' ? 'Go value' : `${element}${path}`;
  return new EngineError('invalid-argument', `json: cannot unmarshal ${what} into ${where} of type ${goType}`);
}

function isNumeric(goType: string): boolean {
  return /^(u?int\d*|float\d+|time\.Duration|fs\.FileMode)$/.test(goType);
}

export function string(goType = 'string'): Decoder<string> {
  return {
    goType,
    decode(value, path) {
      if (typeof value !== 'string') throw typeError(value, path, goType);
      return value;
    },
  };
}

/** A string of a closed set whose members the engine checks; the cast is undone by the table of what is honoured. */
export function word<T extends string>(goType: string): Decoder<T> {
  return string(goType) as Decoder<T>;
}

export const bool: Decoder<boolean> = {
  goType: 'bool',
  decode(value, path) {
    if (typeof value !== 'boolean') throw typeError(value, path, 'bool');
    return value;
  },
};

export function integer(
  goType: 'int' | 'int64' | 'uint' | 'uint16' | 'uint32' | 'time.Duration' | 'fs.FileMode',
): Decoder<number> {
  const [low, high] = integerRanges[goType];
  return {
    goType,
    decode(value, path) {
      if (!(value instanceof JsonNumber)) throw typeError(value, path, goType);
      if (!/^-?\d+$/.test(value.source)) throw typeError(value, path, goType);
      const exact = BigInt(value.source);
      if (exact < low || exact > high) throw typeError(value, path, goType);
      return Number(exact);
    },
  };
}

const int64Range = [-(1n << 63n), (1n << 63n) - 1n] as const;
const integerRanges = {
  int: int64Range,
  int64: int64Range,
  'time.Duration': int64Range,
  uint: [0n, (1n << 64n) - 1n],
  uint16: [0n, 0xffffn],
  uint32: [0n, 0xffffffffn],
  'fs.FileMode': [0n, 0xffffffffn],
} as const;

/** Go leaves a null element at its zero value, which only strings and lists can have here. */
export function list<T>(item: Decoder<T>, goType = `[]${item.goType}`): Decoder<readonly T[]> {
  return {
    goType,
    decode(value, path) {
      if (!Array.isArray(value)) throw typeError(value, path, goType);
      return (value as readonly JsonValue[]).map((element, at) => {
        const zero = element === null ? (item.goType === 'string' ? '' : {}) : element;
        return item.decode(zero, `${path}.${at}`);
      });
    },
  };
}

export function map<T>(item: Decoder<T>, goType = `map[string]${item.goType}`): Decoder<Readonly<Record<string, T>>> {
  return {
    goType,
    decode(value, path) {
      if (!isObject(value)) throw typeError(value, path, goType);
      const entries = Object.entries(value)
        .filter(([, element]) => element !== null)
        .map(([key, element]) => [key, item.decode(element, `${path}.${escapeKey(key)}`)] as const);
      return Object.fromEntries(entries);
    },
  };
}

/** A map whose values may be null, which is kept. */
export function nullableMap<T>(item: Decoder<T>, goType: string): Decoder<Readonly<Record<string, T | null>>> {
  const nullable: Decoder<T | null> = {
    goType: item.goType,
    decode: (value, path) => (value === null ? null : item.decode(value, path)),
  };
  return {
    goType,
    decode(value, path) {
      if (!isObject(value)) throw typeError(value, path, goType);
      const entries = Object.entries(value).map(
        ([key, element]) => [key, nullable.decode(element, `${path}.${escapeKey(key)}`)] as const,
      );
      return Object.fromEntries(entries);
    },
  };
}

/** Go's `struct{}`: the keys of a set. */
export const emptyStruct: Decoder<Readonly<Record<string, never>>> = {
  goType: 'struct {}',
  decode(value, path) {
    if (!isObject(value)) throw typeError(value, path, 'struct {}');
    return {};
  },
};

/** A list of strings that old clients send as one string. */
export const stringOrList: Decoder<readonly string[]> = {
  goType: '[]string',
  decode(value) {
    if (typeof value === 'string') return [value];
    const strings = Array.isArray(value) && value.every((item) => typeof item === 'string');
    if (!strings) throw typeError(value, '', 'string');
    return value as readonly string[];
  },
};

/** `embedded`: Go's type for the whole body has this one inside, which leaves the type's name out of its errors. */
export function object<T extends object>(
  goType: string,
  fields: Fields<T>,
  { embedded = false }: { embedded?: boolean } = {},
): Decoder<T> {
  const root = embedded ? '' : goType.slice(goType.lastIndexOf('.') + 1);
  const byLowerCase = new Map(
    Object.entries(fields).map(([name, decoder]) => [name.toLowerCase(), [name, decoder as Decoder<unknown>]] as const),
  );
  const names = Object.keys(fields);
  return {
    goType,
    decode(value, path) {
      if (!isObject(value)) throw typeError(value, path, goType);
      const decoded: Record<string, unknown> = {};
      for (const [key, element] of Object.entries(value)) {
        const field = byLowerCase.get(key.toLowerCase());
        if (field === undefined || element === null) continue;
        decoded[field[0]] = field[1].decode(element, `${path || root}.${escapeKey(key)}`);
      }
      // In the order of the type, whatever the client's: what is kept of it is shown so. Every decoder produced the type of its field; absent fields are optional in all of these shapes.
      return Object.fromEntries(names.filter((name) => name in decoded).map((name) => [name, decoded[name]])) as T;
    },
  };
}

/** JSON pointer's escapes, as the paths in Go's errors have them. */
function escapeKey(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
