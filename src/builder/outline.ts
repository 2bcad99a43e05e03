import {
  type ArgInstruction,
  expandWord,
  type Instruction,
  parseDockerfile,
  parseMount,
  type SourceRange,
  type Stage,
} from '#dockerfile';
import { NeededStages, stageNamed, stagesUpTo } from './convert/index.ts';

export interface OutlineArgument {
  readonly name: string;
  /** What it is when nobody gives it; with variables put in. */
  readonly value?: string;
  readonly range: SourceRange;
}

/** A secret or an SSH agent. */
export interface OutlineHandedOver {
  readonly name: string;
  readonly required: boolean;
  readonly range: SourceRange;
}

type TypedHandedOver = OutlineHandedOver & { readonly type: string };

/** What a target of a Dockerfile can be given. */
export interface Outline {
  readonly stage: Stage;
  readonly args: readonly OutlineArgument[];
  readonly secrets: readonly OutlineHandedOver[];
  readonly agents: readonly OutlineHandedOver[];
}

type Given = Readonly<Record<string, string | null>>;

/** @throws LocationError, EngineError in Docker's words */
export function outlineOf(bytes: Uint8Array, { target, buildArgs }: { target: string; buildArgs: Given }): Outline {
  const dockerfile = parseDockerfile(bytes);
  const stages = stagesUpTo(dockerfile, target);
  const global = argumentsOf(dockerfile.metaArgs, buildArgs, new Map());
  const bases = new Map(
    stages.flatMap((stage) => {
      const base = stageNamed(stages, stage.index, stage.baseName);
      return base === undefined ? [] : [[stage.index, base] as const];
    }),
  );
  const needed = new NeededStages(stages, bases);
  const found = stages.filter((stage) => needed.has(stage.index));
  const args = new Map<string, OutlineArgument>();
  for (const stage of found) {
    for (const arg of usedInFrom(stage, global)) args.set(arg.name, arg);
    const own = argumentsOf(stage.instructions.filter(isArgument), buildArgs, global);
    for (const arg of own.values()) if (!args.has(arg.name)) args.set(arg.name, arg);
  }
  const mounts = found.flatMap(({ instructions }) => instructions.flatMap(handedOverTo));
  const ofType = (type: string) => firstOfEach(mounts.filter((mount) => mount.type === type));
  return { stage: stages.at(-1)!, args: byLine([...args.values()]), secrets: ofType('secret'), agents: ofType('ssh') };
}

function isArgument(instruction: Instruction): instruction is ArgInstruction {
  return instruction.kind === 'arg';
}

/** One without a value of its own is the one of that name above all stages. */
function argumentsOf(
  instructions: readonly ArgInstruction[],
  given: Given,
  global: ReadonlyMap<string, OutlineArgument>,
): ReadonlyMap<string, OutlineArgument> {
  const args = new Map<string, OutlineArgument>();
  const lookup = (name: string) => (args.get(name) ?? global.get(name))?.value;
  for (const { definitions, range } of instructions) {
    for (const { name, value } of definitions) {
      const above = value === undefined ? global.get(name) : undefined;
      const own = given[name] ?? (value === undefined ? undefined : expandWord(value, { escape: '\\', lookup }));
      args.set(name, above ?? { name, ...(own === undefined ? {} : { value: own }), range });
    }
  }
  return args;
}

function usedInFrom({ baseName, platform }: Stage, global: ReadonlyMap<string, OutlineArgument>): OutlineArgument[] {
  const names = [...`${baseName} ${platform}`.matchAll(/\$\{?(\w+)/g)].map(([, name]) => name!);
  return names.flatMap((name) => global.get(name) ?? []);
}

function handedOverTo(instruction: Instruction): readonly TypedHandedOver[] {
  if (instruction.kind !== 'run') return [];
  return instruction.mounts.flatMap((text): readonly TypedHandedOver[] => {
    const { type, source, cacheID, target, required } = parseMount(text, (word) => word);
    const { range } = instruction;
    if (type === 'ssh') return [{ type, name: cacheID || 'default', required, range }];
    if (type !== 'secret') return [];
    return [{ type, name: source || cacheID || target.slice(target.lastIndexOf('/') + 1), required, range }];
  });
}

function firstOfEach(mounts: readonly OutlineHandedOver[]): OutlineHandedOver[] {
  const named = new Map<string, OutlineHandedOver>();
  for (const { name, required, range } of mounts) if (!named.has(name)) named.set(name, { name, required, range });
  return byLine([...named.values()]);
}

function byLine<T extends { readonly range: SourceRange }>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => a.range.startLine - b.range.startLine);
}
