/** One option of a command. `list` and `map` may repeat; `toggle` takes no value unless written `--flag=false`. */
export interface FlagSpec {
  readonly name: string;
  readonly short?: string;
  readonly type: 'toggle' | 'string' | 'list' | 'int' | 'bytes' | 'decimal';
  /** How the value is called in the help: `string`, `list`, `bytes` … */
  readonly value?: string;
  readonly help: string;
}

export type FlagValue = boolean | string | number | readonly string[];

/** Parsed options by name, typed by the getters. */
export class Flags {
  readonly #values: ReadonlyMap<string, FlagValue>;

  constructor(values: ReadonlyMap<string, FlagValue>) {
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  on(name: string): boolean {
    return this.#values.get(name) === true;
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return typeof value === 'string' ? value : undefined;
  }

  number(name: string): number | undefined {
    const value = this.#values.get(name);
    return typeof value === 'number' ? value : undefined;
  }

  list(name: string): readonly string[] {
    const value = this.#values.get(name);
    return Array.isArray(value) ? value : [];
  }
}

/** What the user typed does not fit the command: message, usage, exit status. */
export class UsageError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 125) {
    super(message);
    this.name = 'UsageError';
    this.exitCode = exitCode;
  }
}

export interface ParsedArguments {
  readonly flags: Flags;
  readonly positionals: readonly string[];
  readonly help: boolean;
}

/**
 * Parses as the docker CLI does. `interspersed: false` (run, exec) stops at the first positional, so that the command's own options pass through.
 * @throws UsageError with the words of Docker's client.
 */
export function parseArguments(
  specs: readonly FlagSpec[],
  args: readonly string[],
  options: { interspersed: boolean },
): ParsedArguments {
  return new Parser(specs, args, options.interspersed).parse();
}

class Parser {
  readonly #byName: ReadonlyMap<string, FlagSpec>;
  readonly #byShort: ReadonlyMap<string, FlagSpec>;
  readonly #pending: string[];
  readonly #interspersed: boolean;
  readonly #values = new Map<string, FlagValue>();
  readonly #positionals: string[] = [];
  #help = false;

  constructor(specs: readonly FlagSpec[], args: readonly string[], interspersed: boolean) {
    this.#byName = new Map(specs.map((spec) => [spec.name, spec]));
    this.#byShort = new Map(specs.flatMap((spec) => (spec.short ? [[spec.short, spec] as const] : [])));
    this.#pending = [...args];
    this.#interspersed = interspersed;
  }

  parse(): ParsedArguments {
    for (let arg = this.#pending.shift(); arg !== undefined; arg = this.#pending.shift()) {
      if (arg === '--') {
        this.#positionals.push(...this.#pending.splice(0));
      } else if (arg.startsWith('--')) {
        this.#long(arg.slice(2));
      } else if (arg.startsWith('-') && arg.length > 1) {
        this.#shorts(arg.slice(1));
      } else {
        this.#positionals.push(arg);
        if (!this.#interspersed) this.#positionals.push(...this.#pending.splice(0));
      }
    }
    return { flags: new Flags(this.#values), positionals: this.#positionals, help: this.#help };
  }

  #long(text: string): void {
    const at = text.indexOf('=');
    const name = at < 0 ? text : text.slice(0, at);
    const spec = this.#byName.get(name);
    if (!spec) {
      if (name === 'help') this.#help = true;
      else throw new UsageError(`unknown flag: --${name}`);
      return;
    }
    if (at >= 0) this.#set(spec, text.slice(at + 1));
    else if (spec.type === 'toggle') this.#set(spec, 'true');
    else this.#set(spec, this.#next(`flag needs an argument: --${name}`));
  }

  #shorts(text: string): void {
    for (let index = 0; index < text.length; index++) {
      const letter = text[index]!;
      const spec = this.#byShort.get(letter);
      if (!spec) {
        if (letter !== 'h') throw new UsageError(`unknown shorthand flag: '${letter}' in -${text}`);
        this.#help = true;
        continue;
      }
      const rest = text.slice(index + 1);
      if (spec.type === 'toggle' && !rest.startsWith('=')) {
        this.#set(spec, 'true');
        continue;
      }
      this.#set(
        spec,
        rest === '' ? this.#next(`flag needs an argument: '${letter}' in -${text}`) : rest.replace(/^=/, ''),
      );
      return;
    }
  }

  #next(message: string): string {
    const value = this.#pending.shift();
    if (value === undefined) throw new UsageError(message);
    return value;
  }

  #set(spec: FlagSpec, text: string): void {
    const refuse = (why: string): never => {
      const shown = spec.short ? `-${spec.short}, --${spec.name}` : `--${spec.name}`;
      throw new UsageError(`invalid argument "${text}" for "${shown}" flag: ${why}`);
    };
    this.#values.set(spec.name, readValue(spec, text, this.#values.get(spec.name), refuse));
  }
}

function readValue(
  spec: FlagSpec,
  text: string,
  before: FlagValue | undefined,
  refuse: (why: string) => never,
): FlagValue {
  switch (spec.type) {
    case 'toggle':
      if (/^(1|t|true)$/i.test(text)) return true;
      if (/^(0|f|false)$/i.test(text)) return false;
      return refuse(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
    case 'list':
      return [...(Array.isArray(before) ? before : []), text];
    case 'int':
      if (!/^-?\d+$/.test(text)) return refuse(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
      return Number(text);
    case 'decimal':
      if (!/^\d+(\.\d+)?$/.test(text)) return refuse(`failed to parse ${text} as a rational number`);
      return Number(text);
    case 'bytes':
      return parseBytes(text) ?? refuse(`invalid size: '${text}'`);
    case 'string':
      return text;
    default:
      return spec.type satisfies never;
  }
}

const units: Readonly<Record<string, number>> = {
  b: 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  p: 1024 ** 5,
};

/** `512m`, `1.5g`, `2GiB`: bytes; undefined when it is no size. */
export function parseBytes(text: string): number | undefined {
  if (text === '-1') return -1;
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgtp])?(?:i?b)?$/i.exec(text);
  return match ? Math.trunc(Number(match[1]) * units[(match[2] ?? 'b').toLowerCase()]!) : undefined;
}
