import type { Dockerfile, Instruction } from '../ast.ts';
import { envLookup } from '../changes.ts';
import { LocationError, SyntaxFault } from '../location.ts';
import { parseInstruction } from '../parse.ts';
import { checkKeywordCasing } from './casing.ts';
import { checkDescriptions } from './descriptions.ts';
import type { CheckedBase, CheckFacts } from './facts.ts';
import { checkFromArguments } from './from-arguments.ts';
import { type CheckOptions, parseCheckOptions } from './options.ts';
import { rules } from './rules.ts';
import { StageCheck, type StageEnd } from './stage.ts';
import { checkStageNames } from './stage-names.ts';
import { type CheckWarning, Warnings } from './warnings.ts';

export type { CheckedBase, CheckFacts } from './facts.ts';
export type { CheckOptions } from './options.ts';
export type { CheckWarning } from './warnings.ts';

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The build argument that stands in for the directive. */
export const checkArgument = 'BUILDKIT_DOCKERFILE_CHECK';

/** What the directive or, in its place, the build argument says. @throws SyntaxFault, LocationError in BuildKit's words */
export function checkOptionsOf(
  { directives }: Dockerfile,
  buildArgs: Readonly<Record<string, string | null>>,
): CheckOptions {
  const given = Object.hasOwn(buildArgs, checkArgument) ? (buildArgs[checkArgument] ?? undefined) : undefined;
  return parseCheckOptions(given ?? firstWord(directives.check ?? ''));
}

/** BuildKit takes what follows a blank for arguments of another directive. */
function firstWord(text: string): string {
  return text.split(' ', 1)[0]!;
}

/** Runs BuildKit's build checks over a Dockerfile, by line. What fails the build by itself is no matter of theirs and ends them where it stands. */
export function checkDockerfile(dockerfile: Dockerfile, facts: CheckFacts, options: CheckOptions): CheckWarning[] {
  const warnings = new Warnings(options);
  const { stages, directives } = dockerfile;
  for (const { line } of dockerfile.warnings) {
    warnings.add(rules.noEmptyContinuation, { startLine: line, endLine: line }, 'Empty continuation line');
  }
  checkStageNames(stages, directives.escape, warnings);
  checkMaintainers(dockerfile, warnings);
  checkDescriptions(dockerfile, warnings);
  checkKeywordCasing(stages, warnings);
  try {
    const inherited = checkFromArguments(dockerfile, facts, warnings);
    checkBasePlatforms(dockerfile, facts, warnings);
    checkStages(dockerfile, { facts, warnings, inherited });
  } catch (error) {
    if (!(error instanceof SyntaxFault) && !(error instanceof LocationError)) throw error;
  }
  return warnings.sorted();
}

function checkMaintainers({ stages }: Dockerfile, warnings: Warnings): void {
  for (const { kind, range } of stages.flatMap((stage) => stage.instructions)) {
    if (kind !== 'maintainer') continue;
    warnings.add(rules.maintainerDeprecated, range, 'Maintainer instruction is deprecated in favor of using label');
  }
}

function checkBasePlatforms({ stages }: Dockerfile, facts: CheckFacts, warnings: Warnings): void {
  for (const { index, range } of stages) {
    const base = facts.bases.get(index);
    if (base?.kind !== 'image' || !base.image || !facts.checked.has(index)) continue;
    const wanted = base.platform === '' ? facts.targetPlatform : facts.parsePlatform(base.platform);
    const { platform: found } = base.image;
    if (!wanted || (wanted.os === found.os && wanted.architecture === found.architecture)) continue;
    const [actual, expected] = [found, wanted].map(({ os, architecture }) => `"${os}/${architecture}"`);
    const detail = `Base image ${base.reference} was pulled with platform ${actual}, expected ${expected} for current build`;
    warnings.add(rules.invalidBaseImagePlatform, range, detail);
  }
}

function checkStages(
  { stages, directives }: Dockerfile,
  shared: { facts: CheckFacts; warnings: Warnings; inherited: ReadonlyMap<string, string> },
): void {
  const { facts } = shared;
  const ends = new Map<number, StageEnd>();
  const triggersOf = new Map<number, readonly Instruction[]>();
  for (const stage of stages) {
    const base = facts.bases.get(stage.index) ?? { kind: 'scratch' };
    const onbuild = stage.instructions.flatMap((line) => (line.kind === 'onbuild' ? [line.expression] : []));
    triggersOf.set(stage.index, onbuild.map(parseInstruction));
    if (!facts.checked.has(stage.index)) continue;
    const check = new StageCheck(startOf(base, ends), { ...shared, escapeToken: directives.escape });
    const inImage = base.kind === 'image' ? (base.image?.triggers ?? []).map(parseInstruction) : [];
    check.follow(stage, base.kind === 'stage' ? (triggersOf.get(base.stage) ?? []) : inImage);
    ends.set(stage.index, check.end);
  }
}

function startOf(base: CheckedBase, ends: ReadonlyMap<number, StageEnd>): StageEnd {
  const before = base.kind === 'stage' ? ends.get(base.stage) : undefined;
  if (before) return before;
  const image = base.kind === 'image' ? base.image : undefined;
  const lookup = envLookup(image?.env ?? []);
  const names = (image?.env ?? []).map((entry) => entry.split('=', 1)[0]!);
  const env = new Map(names.map((name) => [name, lookup(name) ?? '']));
  if (!env.has('PATH')) env.set('PATH', defaultPath);
  return { env, declared: new Set(), workdirSet: false, shellSet: (image?.shell.length ?? 0) > 0 };
}
