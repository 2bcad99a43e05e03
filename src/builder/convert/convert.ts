import {
  type ArgInstruction,
  type ConfigInstruction,
  configChange,
  type Directives,
  type ExpandOptions,
  envLookup,
  expandWord,
  type Instruction,
  LocationError,
  type Stage,
  SyntaxFault,
  shellOf,
  substitute,
} from '#dockerfile';
import type { RunConfig } from '#oci';
import type { ArgumentScope } from './arguments.ts';
import { copyOperation } from './files.ts';
import type { NamedContexts } from './named-contexts.ts';
import type { ConfigOperation, Operation } from './operations.ts';
import { runOperation } from './run.ts';

/** What instructions of one stage are converted with; changes from line to line. */
export interface StageScope {
  readonly stages: readonly Stage[];
  readonly stageIndex: number;
  readonly escape: Directives['escape'];
  readonly args: ArgumentScope;
  config: RunConfig;
  author: string;
  cmdSet: boolean;
  readonly networkMode: string;
  readonly contexts?: NamedContexts | undefined;
}

/**
 * One instruction to an operation, in the scope that the lines before it left; moves the scope on.
 * @throws LocationError (`invalid-argument`) in Docker's words
 */
export function convertInstruction(written: Instruction, scope: StageScope): Operation {
  const used = new Map<string, string | null>();
  try {
    const operation = convert(written, scope, used);
    const { source: text, range } = written;
    const variables = { ...Object.fromEntries(used), ...(operation.kind === 'run' ? environmentOf(scope) : {}) };
    return 'author' in operation ? { ...operation, written: { text, line: range.startLine, variables } } : operation;
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    throw new LocationError(error.message, written.range, { cause: error });
  }
}

/** The build arguments that a command sees. */
function environmentOf({ args, config }: StageScope): Record<string, string> {
  const entries = args.shown(args.environment(config.Env ?? []));
  return Object.fromEntries(entries.map((entry) => entry.split(/=(.*)/s).slice(0, 2) as [string, string]));
}

/** Writes the variables that it looks up into `used`. */
function convert(written: Instruction, scope: StageScope, used: Map<string, string | null>): Operation {
  const expansion = expansionOf(scope, used);
  const instruction = substitute(
    written,
    (word) => expandWord(word, expansion),
    (text) => expandWord(text, { ...expansion, skipQuotes: true }),
  );
  switch (instruction.kind) {
    case 'run':
      return runOperation(instruction, scope, (word) => expandWord(word, expansion));
    case 'copy':
    case 'add':
      return copyOperation(instruction, scope);
    case 'arg':
      return recorded(scope, argText(instruction, scope));
    case 'maintainer':
      scope.author = instruction.maintainer;
      return recorded(scope, `MAINTAINER ${instruction.maintainer}`);
    default:
      return configOperation(instruction, scope, expansion);
  }
}

function expansionOf(scope: StageScope, used: Map<string, string | null>): ExpandOptions {
  const imageEnv = envLookup(scope.config.Env ?? []);
  const lookup = (name: string) => {
    const value = imageEnv(name) ?? scope.args.lookup(name);
    used.set(name, value ?? null);
    return value;
  };
  return { escape: scope.escape, lookup };
}

function argText(instruction: ArgInstruction, scope: StageScope): string {
  const words = instruction.definitions.map(({ name, value }) => {
    scope.args.declare(name, value);
    return value === undefined ? name : `${name}=${value}`;
  });
  return `ARG ${words.join(' ')}`;
}

/** History of instructions without files has two blanks, of WORKDIR, COPY and ADD one. */
function recorded(scope: StageScope, comment: string): ConfigOperation {
  const { config, author } = scope;
  return { kind: 'config', config, author, createdBy: [...shellOf(config.Shell), '#(nop) ', comment].join(' ') };
}

function configOperation(instruction: ConfigInstruction, scope: StageScope, expansion: ExpandOptions): Operation {
  const change = configChange(scope.config, instruction, { cmdSet: scope.cmdSet, expansion });
  const earlier = scope.config.Healthcheck;
  scope.config = { ...scope.config, ...change.set };
  // What a HEALTHCHECK leaves open it takes from the one before, in dockerd as here.
  if (instruction.kind === 'healthcheck')
    scope.config = { ...scope.config, Healthcheck: { ...earlier, ...change.set.Healthcheck } };
  scope.cmdSet ||= change.cmdSet ?? false;
  const { config, author } = scope;
  if (instruction.kind === 'workdir') {
    const createdBy = [...shellOf(config.Shell), `#(nop) ${change.comment}`].join(' ');
    return { kind: 'workdir', path: config.WorkingDir ?? '/', config, author, createdBy };
  }
  const operation = recorded(scope, change.comment);
  return change.note === undefined ? operation : { ...operation, note: change.note };
}
