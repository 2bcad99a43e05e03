import { posix } from 'node:path';
import type { CommandLine, HealthcheckSettings, Instruction } from './ast.ts';
import { formatDuration } from './duration.ts';
import { type ExpandOptions, expandWords } from './expand.ts';
import { SyntaxFault } from './location.ts';
import { exposedPorts } from './ports.ts';
import { checkSignal } from './signals.ts';
import type { NameValue } from './statements.ts';
import { quoteList } from './text.ts';

/** The part of an image's `config` object that instructions change; `RunConfig` of `#oci` is one. */
export interface ConfigFields {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Volumes?: Readonly<Record<string, Record<string, never>>> | null;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly StopSignal?: string;
  readonly Healthcheck?: {
    readonly Test?: readonly string[];
    readonly Interval?: number;
    readonly Timeout?: number;
    readonly StartPeriod?: number;
    readonly StartInterval?: number;
    readonly Retries?: number;
  };
  readonly OnBuild?: readonly string[] | null;
  readonly Shell?: readonly string[];
}

/** What an instruction does to the configuration. */
export interface ConfigChange {
  readonly set: ConfigFields;
  /** As history shows it: `CMD ["sh"]`. */
  readonly comment: string;
  /** CMD was given in this stage: a later ENTRYPOINT keeps it. */
  readonly cmdSet?: boolean;
  /** A line for the user. */
  readonly note?: string;
}

/** Instructions that only change the configuration. */
export type ConfigInstruction = Extract<
  Instruction,
  {
    kind:
      | 'env'
      | 'label'
      | 'onbuild'
      | 'cmd'
      | 'entrypoint'
      | 'healthcheck'
      | 'expose'
      | 'user'
      | 'volume'
      | 'stopsignal'
      | 'workdir'
      | 'shell';
  }
>;

export interface ConfigScope {
  readonly cmdSet: boolean;
  /** For EXPOSE, whose variables may hold several words. */
  readonly expansion: ExpandOptions;
}

/**
 * The change that an already substituted instruction makes. Order of Env is kept: a name set again stays in its place.
 * @throws SyntaxFault (`invalid-argument`) in Docker's words.
 */
export function configChange(config: ConfigFields, instruction: ConfigInstruction, scope: ConfigScope): ConfigChange {
  switch (instruction.kind) {
    case 'env':
      return {
        set: { Env: withEnv(config.Env ?? [], instruction.pairs) },
        comment: `ENV${pairTexts(instruction.pairs)}`,
      };
    case 'label':
      return {
        set: {
          Labels: { ...config.Labels, ...Object.fromEntries(instruction.pairs.map((pair) => [pair.name, pair.value])) },
        },
        comment: `LABEL${pairTexts(instruction.pairs)}`,
      };
    case 'onbuild':
      return {
        set: { OnBuild: [...(config.OnBuild ?? []), instruction.expression] },
        comment: `ONBUILD ${instruction.expression}`,
      };
    case 'cmd': {
      const args = commandArgs(instruction.command, config.Shell);
      return {
        set: { Cmd: args.length > 0 ? args : null },
        comment: `CMD ${quoteList(args)}`,
        ...(instruction.command.args.length > 0 ? { cmdSet: true } : {}),
      };
    }
    case 'entrypoint': {
      const args = instruction.command.args.length === 0 ? null : commandArgs(instruction.command, config.Shell);
      return {
        set: { Entrypoint: args, ...(scope.cmdSet ? {} : { Cmd: null }) },
        comment: `ENTRYPOINT ${quoteList(args ?? [])}`,
      };
    }
    case 'healthcheck':
      return healthcheckChange(config, instruction.settings);
    case 'expose': {
      const ports = instruction.ports.flatMap((port) => expandWords(port, scope.expansion));
      const keys = exposedPorts(ports).map((port) => [port, {}] as const);
      return {
        set: keys.length === 0 ? {} : { ExposedPorts: { ...config.ExposedPorts, ...Object.fromEntries(keys) } },
        comment: `EXPOSE ${ports.join(' ')}`,
      };
    }
    case 'user':
      return { set: { User: instruction.user }, comment: `USER ${instruction.user}` };
    case 'volume': {
      if (instruction.volumes.includes('')) throw new SyntaxFault('VOLUME specified can not be an empty string');
      const volumes = instruction.volumes.map((path) => [path, {}] as const);
      return {
        set: { Volumes: { ...config.Volumes, ...Object.fromEntries(volumes) } },
        comment: `VOLUME [${instruction.volumes.join(' ')}]`,
      };
    }
    case 'stopsignal':
      checkSignal(instruction.signal);
      return { set: { StopSignal: instruction.signal }, comment: `STOPSIGNAL ${instruction.signal}` };
    case 'workdir': {
      const path = joinWorkdir(config.WorkingDir ?? '', instruction.path);
      return { set: { WorkingDir: path }, comment: `WORKDIR ${path}` };
    }
    case 'shell':
      return { set: { Shell: instruction.shell }, comment: `SHELL [${instruction.shell.join(' ')}]` };
    default:
      return instruction satisfies never;
  }
}

/** `/bin/sh -c` in front of a shell-form command. */
export function commandArgs(command: CommandLine, shell: readonly string[] | undefined): readonly string[] {
  if (!command.shellForm || command.args.length === 0) return command.shellForm ? shellOf(shell) : command.args;
  return [...shellOf(shell), ...command.args];
}

export function shellOf(shell: readonly string[] | undefined): readonly string[] {
  return shell && shell.length > 0 ? shell : ['/bin/sh', '-c'];
}

/** @throws SyntaxFault for an empty path. */
export function joinWorkdir(current: string, requested: string): string {
  if (requested === '') throw new SyntaxFault('cannot normalize nothing');
  const path = posix.normalize(requested.startsWith('/') ? requested : posix.join('/', current, requested));
  return path.length > 1 ? path.replace(/\/+$/, '') : path;
}

function pairTexts(pairs: readonly NameValue[]): string {
  return pairs.map((pair) => ` ${pair.name}=${pair.value}`).join('');
}

function withEnv(env: readonly string[], pairs: readonly NameValue[]): string[] {
  const result = [...env];
  for (const { name, value } of pairs) {
    const at = result.findIndex((entry) => entry.split('=', 1)[0] === name);
    if (at < 0) result.push(`${name}=${value}`);
    else result[at] = `${name}=${value}`;
  }
  return result;
}

function healthcheckChange(config: ConfigFields, settings: HealthcheckSettings): ConfigChange {
  const earlier = config.Healthcheck?.Test ?? [];
  const overrides = earlier.length > 0 && earlier[0] !== 'NONE';
  return {
    set: { Healthcheck: healthcheckFields(settings) },
    comment: healthcheckText(settings),
    ...(overrides ? { note: `Note: overriding previous HEALTHCHECK: [${earlier.join(' ')}]\n` } : {}),
  };
}

function healthcheckFields(settings: HealthcheckSettings): NonNullable<ConfigFields['Healthcheck']> {
  return {
    Test: settings.test,
    ...(settings.intervalNs ? { Interval: settings.intervalNs } : {}),
    ...(settings.timeoutNs ? { Timeout: settings.timeoutNs } : {}),
    ...(settings.startPeriodNs ? { StartPeriod: settings.startPeriodNs } : {}),
    ...(settings.startIntervalNs ? { StartInterval: settings.startIntervalNs } : {}),
    ...(settings.retries ? { Retries: settings.retries } : {}),
  };
}

function healthcheckText(settings: HealthcheckSettings): string {
  const times = [settings.intervalNs, settings.timeoutNs, settings.startPeriodNs, settings.startIntervalNs];
  const fields = [`[${settings.test.join(' ')}]`, ...times.map(formatDuration), settings.retries];
  return `HEALTHCHECK &{${fields.join(' ')}}`;
}
