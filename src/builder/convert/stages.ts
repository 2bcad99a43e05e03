import {
  type Dockerfile,
  type Instruction,
  LocationError,
  mountFrom,
  nearestName,
  parseInstruction,
  type Stage,
} from '#dockerfile';
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
 * The stages that the last one needs, itself included. What triggers of an image copy from is known when the image is there.
 * @throws EngineError for a `--from` that means no stage it may, in whatever stage
 */
export class NeededStages {
  readonly #stages: readonly Stage[];
  /** The stages that stages start from. */
  readonly #bases: ReadonlyMap<number, number>;
  readonly #needed = new Set<number>();

  constructor(stages: readonly Stage[], bases: ReadonlyMap<number, number>) {
    this.#stages = stages;
    this.#bases = bases;
    for (const stage of stages) {
      for (const instruction of stage.instructions) {
        for (const from of fromsOf(instruction)) atLine(instruction, () => stageReferred(stages, stage.index, from));
      }
    }
    this.#add(stages.length - 1);
  }

  has(index: number): boolean {
    return this.#needed.has(index);
  }

  /** What the base of a stage has for those that start from it. */
  addTriggers(index: number, triggers: readonly string[]): void {
    for (const text of triggers) this.#addSources(index, triggered(text));
  }

  #add(index: number): void {
    if (this.#needed.has(index)) return;
    this.#needed.add(index);
    for (const instruction of this.#stages[index]!.instructions) this.#addSources(index, instruction);
    const base = this.#bases.get(index);
    if (base === undefined) return;
    this.#add(base);
    const { instructions } = this.#stages[base]!;
    this.addTriggers(
      index,
      instructions.flatMap((instruction) => (instruction.kind === 'onbuild' ? [instruction.expression] : [])),
    );
  }

  #addSources(index: number, instruction: Instruction | undefined): void {
    for (const from of instruction ? fromsOf(instruction) : []) {
      const stage = this.#referred(index, from);
      if (stage !== undefined) this.#add(stage);
    }
  }

  /** A fault of a trigger is told where it is converted; those of the file were told before. */
  #referred(index: number, from: string): number | undefined {
    try {
      return stageReferred(this.#stages, index, from);
    } catch (error) {
      if (error instanceof EngineError) return undefined;
      throw error;
    }
  }
}

/** Undefined for what is no instruction, which is told where it is converted. */
function triggered(text: string): Instruction | undefined {
  try {
    return parseInstruction(text);
  } catch (error) {
    if (error instanceof EngineError) return undefined;
    throw error;
  }
}
