import { blamedWords, excerptOf, type Instruction, LocationError, nearestName, type SourceRange } from '#dockerfile';
import { ExitError, type FaultPlace, messageOf, placeError } from '#errdefs';
import type { BuildPlan } from './convert/index.ts';
import { failedStep } from './failed-step.ts';

/** The text of a Dockerfile and the name that it is shown under. */
export interface DockerfileText {
  readonly name: string;
  readonly lines: readonly string[];
}

interface Blamed {
  readonly range: SourceRange;
  /** The instruction that failed, where it is known. */
  readonly instruction?: Pick<Instruction, 'source'>;
  readonly stage?: number;
  readonly hint?: string | undefined;
  readonly words?: string | undefined;
}

/**
 * Puts to an error of a build where in the Dockerfile it comes from. One that has no line of its own (a context that cannot be read, a target that
 * is not there) stays without, but for its hint.
 */
export function placeFault(
  error: unknown,
  { name, lines }: DockerfileText,
  about: { plan?: BuildPlan; output?: string; container?: string } = {},
): void {
  const blamed = blame(error, about.plan);
  if (!blamed || lines.every((line) => line.trim() === '')) return;
  const { range, instruction } = blamed;
  const fact = error instanceof LocationError ? error.fact : messageOf(error);
  const source = instruction?.source ?? textOf(lines, range);
  const isExit = error instanceof ExitError;
  const words = isExit ? undefined : (blamed.words ?? blamedWords(fact, source) ?? nameIn(source));
  const hint = blamed.hint ?? (isExit ? undefined : stageHint(about.plan, blamed.stage, source));
  const place: FaultPlace = {
    file: name,
    startLine: range.startLine,
    endLine: range.endLine,
    excerpt: excerptOf(lines, { name, range, words }),
    ...(hint === undefined ? {} : { hint }),
    ...(about.output ? { output: about.output } : {}),
    ...(about.container === undefined ? {} : { container: about.container }),
  };
  placeError(error, place);
}

/** The step that failed knows best: a trigger's own lines are those of another Dockerfile. */
function blame(error: unknown, plan: BuildPlan | undefined): Blamed | undefined {
  const step = failedStep(error);
  const failed = step === undefined ? undefined : plan?.lineOf(step);
  if (failed) return { range: failed.line.range, instruction: failed.line, stage: failed.stage };
  for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
    if (at instanceof LocationError) return { range: at.range, hint: at.hint, words: at.words };
  }
  return undefined;
}

/** The text of some lines. */
export function textOf(lines: readonly string[], { startLine, endLine }: SourceRange): string {
  return lines.slice(startLine - 1, endLine).join('\n');
}

/** What stands where a stage or an image is named. */
function nameIn(source: string): string | undefined {
  if (!/^\s*FROM\s/i.test(source)) return /(?:--from=|[,=]from=)["']?([^\s,"']+)/i.exec(source)?.[1];
  return /^\s*FROM\s+(?:--\S+\s+)*(\S+)/i.exec(source)?.[1];
}

/** A name that is no stage is taken for an image's: one that is nearly a stage's was meant to be one. */
function stageHint(plan: BuildPlan | undefined, stage: number | undefined, source: string): string | undefined {
  const written = nameIn(source);
  if (!plan || stage === undefined || written === undefined) return undefined;
  const names = plan.stages.flatMap((each) => (each.stage.index < stage ? [each.stage.name] : []));
  const near = nearestName(written, names);
  return near === undefined ? undefined : `There is no stage ${written}: did you mean ${near}?`;
}
