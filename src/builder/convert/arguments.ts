import { checkArgument } from '#dockerfile';
import type { Platform } from '#oci';
import { epochArgument } from '../source-date-epoch.ts';

/** Passed through to RUN without ARG, kept out of history and cache keys unless the Dockerfile names them. */
const transparent = new Set(
  ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'].flatMap((name) => [name, name.toLowerCase()]),
);

/** ARGs every Dockerfile may name without a default. `targetStage`: as asked for, empty for the last. */
export function predefinedArguments(
  build: Platform,
  target: Platform,
  targetStage: string,
): Readonly<Record<string, string>> {
  const families = { ...platformFamily('BUILD', build), ...platformFamily('TARGET', target) };
  return { ...families, TARGETSTAGE: targetStage || 'default' };
}

function platformFamily(prefix: string, platform: Platform): Record<string, string> {
  const variant = platform.variant ?? '';
  return {
    [`${prefix}PLATFORM`]: [platform.os, platform.architecture, variant].filter((part) => part !== '').join('/'),
    [`${prefix}OS`]: platform.os,
    [`${prefix}ARCH`]: platform.architecture,
    [`${prefix}VARIANT`]: variant,
  };
}

/** What a build was given: `--build-arg` values; null means "as the daemon's environment has it", which is unset. */
export interface GivenArguments {
  readonly values: Readonly<Record<string, string | null>>;
  readonly predefined: Readonly<Record<string, string>>;
}

/** ARG names in force, with their defaults. One for the lines before FROM, one for each stage. */
export class ArgumentScope {
  readonly #given: GivenArguments;
  readonly #meta: ReadonlyMap<string, string | undefined>;
  readonly #declared = new Map<string, string | undefined>();

  /** @param meta the scope before the first FROM, for a stage's scope */
  constructor(given: GivenArguments, meta?: ArgumentScope) {
    this.#given = given;
    this.#meta = meta ? meta.#declared : this.#declared;
  }

  declare(name: string, value: string | undefined): void {
    this.#declared.set(name, value);
  }

  /** Value given, else the default, else the one from before FROM, else a predefined one. Only for declared and transparent names. */
  lookup(name: string): string | undefined {
    if (!this.#declared.has(name) && !transparent.has(name)) return undefined;
    return this.#resolve(name);
  }

  /** In FROM the predefined ones need no ARG. */
  lookupInFrom(name: string): string | undefined {
    return this.lookup(name) ?? this.#own(this.#given.predefined, name);
  }

  #resolve(name: string): string | undefined {
    return (
      this.#own(this.#given.values, name) ??
      this.#declared.get(name) ??
      this.#meta.get(name) ??
      (this.#declared.has(name) ? this.#own(this.#given.predefined, name) : undefined)
    );
  }

  #own(record: Readonly<Record<string, string | null>>, name: string): string | undefined {
    return Object.hasOwn(record, name) ? (record[name] ?? undefined) : undefined;
  }

  /** `NAME=value` of everything that RUN sees beside the image's environment, sorted. */
  environment(imageEnv: readonly string[]): string[] {
    const taken = new Set(imageEnv.map((entry) => entry.split('=', 1)[0]));
    const entries: string[] = [];
    for (const name of new Set([...this.#declared.keys(), ...transparent])) {
      const value = taken.has(name) ? undefined : this.lookup(name);
      if (value !== undefined) entries.push(`${name}=${value}`);
    }
    return entries.sort();
  }

  /** Those of `environment` that history and cache keys show. */
  shown(environment: readonly string[]): string[] {
    return environment.filter((entry) => {
      const name = entry.split('=', 1)[0]!;
      return this.#declared.has(name) || !transparent.has(name);
    });
  }
}

/** Names given that no ARG takes up, sorted. */
export function unusedArguments(given: GivenArguments['values'], declared: ReadonlySet<string>): string[] {
  return Object.keys(given)
    .filter((name) => !declared.has(name) && !transparent.has(name) && name !== epochArgument && name !== checkArgument)
    .sort();
}
