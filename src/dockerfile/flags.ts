import { SyntaxFault } from './location.ts';
import { didYouMean } from './suggest.ts';

type FlagKind = 'bool' | 'string' | 'strings';
type FlagTable = Readonly<Record<string, FlagKind>>;
type FlagValue<K extends FlagKind> = K extends 'bool' ? boolean : K extends 'string' ? string : readonly string[];

/** Only the flags that were given are present. */
export type FlagValues<T extends FlagTable> = { readonly [N in keyof T]?: FlagValue<T[N]> };

/** `--name[=value]` words against the flags an instruction has. @throws SyntaxFault with BuildKit's words. */
export function parseFlags<T extends FlagTable>(words: readonly string[], table: T): FlagValues<T> {
  const values = new Map<string, boolean | string | string[]>();
  for (const word of words) {
    const equals = word.indexOf('=');
    const flag = equals < 0 ? word : word.slice(0, equals);
    const value = equals < 0 ? undefined : word.slice(equals + 1);
    const name = flag.slice(2);
    const kind = Object.hasOwn(table, name) ? table[name] : undefined;
    if (kind === undefined) {
      throw new SyntaxFault(`unknown flag: ${flag}${didYouMean(name, Object.keys(table))}`);
    }
    const earlier = values.get(name);
    if (earlier !== undefined && kind !== 'strings') throw new SyntaxFault(`duplicate flag specified: ${flag}`);
    if (kind === 'bool') values.set(name, booleanFlag(flag, value));
    else if (value === undefined) throw new SyntaxFault(`missing a value on flag: ${flag}`);
    else if (kind === 'string') values.set(name, value);
    else values.set(name, [...((earlier as string[] | undefined) ?? []), value]);
  }
  return Object.fromEntries(values) as FlagValues<T>;
}

function booleanFlag(flag: string, value: string | undefined): boolean {
  if (value === '') throw new SyntaxFault(`missing a value on flag: ${flag}`);
  const word = value?.toLowerCase() ?? 'true';
  if (word !== 'true' && word !== 'false') {
    throw new SyntaxFault(`expecting boolean value for flag ${flag}, not: ${value}`);
  }
  return word === 'true';
}
