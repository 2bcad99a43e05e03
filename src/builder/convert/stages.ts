import { type Dockerfile, type Instruction, LocationError, mountFrom, nearestName, type Stage } from '#dockerfile';
import { EngineError } from '#errdefs';
import { type NamedContexts, namedContext } from './named-contexts.ts';
import type { CopyFrom } from './operations.ts';

/** Stages up to the target. @throws EngineError `invalid-argument` in Docker's words. */
export function stagesUpTo(dockerfile: Dockerfile, target: string): readonly Stage[] {
  checkNames(dockerfile.stages);
  if (target === '') return dockerfile.stages;
  const wanted = target.toLowerCase();
  const byName = dockerfile.stages.findIndex((stage) => stage.name === wanted);
  if (byName < 0) throw noTarget(dockerfile.stages, target);
  return dockerfile.stages.slice(0, byName + 1);
}

/** Placed at the stage that may have been meant. */
function noTarget(stages: readonly Stage[], target: string): EngineError {
  const message = `target stage "${target}" could not be found`;
  const near = nearestName(
    target,
    stages.map(({ name }) => name),
  );
  const meant = stages.find(({ name }) => name === near);
  return meant
    ? new LocationError(message, meant.range, { words: meant.name, hint: `Did you mean ${near}?` })
    : new EngineError('invalid-argument', message);
}

function checkNames(stages: readonly Stage[]): void {
  const seen = new Set<string>();
  for (const { name, range } of stages) {
    if (name !== '' && seen.has(name)) throw new LocationError(`${name} stage name already used`, range);
    seen.add(name);
  }
}

/** The earlier stage that `FROM name` means. */
export function stageNamed(stages: readonly Stage[], before: number, name: string): number | undefined {
  const wanted = name.toLowerCase();
  const found = stages.findIndex((stage) => stage.index < before && stage.name !== '' && stage.name === wanted);
  return found < 0 ? undefined : found;
}

/** The earlier stage that `--from=x` means: by name, then by number. @throws EngineError in Docker's words. */
export function stageReferred(stages: readonly Stage[], current: number, from: string): number | undefined {
  const named = stageNamed(stages, current, from);
  if (named !== undefined) return named;
  if (!/^[+-]?\d{1,18}$/.test(from)) return undefined;
  const index = Number(from);
  const fault = index === current ? 'refers to current build stage' : 'index out of bounds';
  if (index < 0 || index >= current) {
    throw new EngineError('invalid-argument', `invalid from flag value ${from}: ${fault}`);
  }
  return index;
}

/** What a `from` of COPY or of a mount means; empty is the context. @throws EngineError in Docker's words. */
export function copyFrom(
  from: string,
  at: { stages: readonly Stage[]; stageIndex: number; contexts?: NamedContexts | undefined },
): CopyFrom {
  if (from === '') return { kind: 'context' };
  const stage = stageReferred(at.stages, at.stageIndex, from);
  if (stage !== undefined) return { kind: 'stage', stage };
  const named = namedContext(from, at.contexts);
  if (named?.context.kind === 'files') return { kind: 'context', name: named.name };
  return { kind: 'image', reference: named?.context.kind === 'image' ? named.context.reference : from };
}

/** As written: variables mean nothing there. */
export function fromsOf(instruction: Instruction): readonly string[] {
  if (instruction.kind === 'copy') return [instruction.from].filter(Boolean);
  return instruction.kind === 'run' ? instruction.mounts.map(mountFrom).filter(Boolean) : [];
}

function atLine<T>({ range }: Instruction, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof EngineError ? new LocationError(error.message, range, { cause: error }) : error;
  }
}

/**
 * Indexes of the stages that the last one needs, itself included.
 * @throws EngineError for a `--from` that means no stage it may, in whatever stage
 */
export function neededStages(stages: readonly Stage[], baseStages: ReadonlyMap<number, number>): ReadonlySet<number> {
  for (const stage of stages) {
    for (const instruction of stage.instructions) {
      for (const from of fromsOf(instruction)) atLine(instruction, () => stageReferred(stages, stage.index, from));
    }
  }
  const needed = new Set<number>();
  const visit = (index: number) => {
    if (needed.has(index)) return;
    needed.add(index);
    const base = baseStages.get(index);
    if (base !== undefined) visit(base);
    for (const instruction of stages[index]!.instructions) {
      for (const from of fromsOf(instruction)) {
        const stage = stageReferred(stages, index, from);
        if (stage !== undefined) visit(stage);
      }
    }
  };
  visit(stages.length - 1);
  return needed;
}
