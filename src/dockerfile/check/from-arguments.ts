import type { ArgInstruction, Dockerfile, Stage } from '../ast.ts';
import { SyntaxFault } from '../location.ts';
import { suggestion } from '../suggest.ts';
import type { CheckedPlatform, CheckFacts } from './facts.ts';
import { expandLooking, type Looked } from './lookup.ts';
import { rules } from './rules.ts';
import type { Warnings } from './warnings.ts';

/** The variables of the lines before FROM, and what FROM makes of them. Answers them as the stages inherit them. */
export function checkFromArguments(
  dockerfile: Dockerfile,
  facts: CheckFacts,
  warnings: Warnings,
): ReadonlyMap<string, string> {
  const { stages, metaArgs, directives } = dockerfile;
  const predefined = predefinedArguments(dockerfile, facts);
  checkDefaults(dockerfile, argumentsOf(metaArgs, predefined, {}, directives.escape), facts, warnings);
  const env = argumentsOf(metaArgs, predefined, facts.buildArgs, directives.escape);
  if (!env) return predefined;
  const declared = metaArgs.flatMap((arg) => arg.definitions.map(({ name }) => name));
  const known = [...new Set([...declared, ...env.keys()])];
  for (const stage of stages) {
    const look = (word: string) => {
      const report = (names: ReadonlySet<string>) => reportUndeclared(names, known, stage, warnings);
      return expandLooking(word, env, { escape: directives.escape }, report);
    };
    look(stage.baseName);
    if (stage.platform !== '') checkPlatformFlag(stage, look(stage.platform), env, { facts, warnings });
  }
  return env;
}

function predefinedArguments({ stages }: Dockerfile, { predefined }: CheckFacts): ReadonlyMap<string, string> {
  const target = stages.at(-1)?.name || 'default';
  const more = { BUILDOSVERSION: '', TARGETOSVERSION: '', TARGETSTAGE: target };
  return new Map(Object.entries({ ...predefined, ...more }));
}

/** Undefined when a default cannot be expanded, which fails the build by itself. */
function argumentsOf(
  metaArgs: readonly ArgInstruction[],
  predefined: ReadonlyMap<string, string>,
  given: CheckFacts['buildArgs'],
  escapeToken: string,
): Map<string, string> | undefined {
  const env = new Map(predefined);
  for (const name of env.keys()) if (typeof given[name] === 'string') env.set(name, given[name]);
  try {
    for (const { name, value } of metaArgs.flatMap((arg) => arg.definitions)) {
      if (typeof given[name] === 'string') env.set(name, given[name]);
      else if (value !== undefined) env.set(name, expandLooking(value, env, { escape: escapeToken }).text);
    }
    return env;
  } catch (error) {
    if (error instanceof SyntaxFault) return undefined;
    throw error;
  }
}

/** A base that is an image's name only when `--build-arg` is given. */
function checkDefaults(
  { stages, directives }: Dockerfile,
  defaults: ReadonlyMap<string, string> | undefined,
  { isReference }: CheckFacts,
  warnings: Warnings,
): void {
  if (!defaults) return;
  for (const { baseName, range } of stages) {
    const { text } = expandLooking(baseName, defaults, { escape: directives.escape });
    if (isReference(text)) continue;
    const detail = `Default value for ARG ${baseName} results in empty or invalid base image name`;
    warnings.add(rules.invalidDefaultArgInFrom, range, detail);
  }
}

function reportUndeclared(
  names: ReadonlySet<string>,
  known: readonly string[],
  { range }: Stage,
  warnings: Warnings,
): void {
  for (const name of names) {
    if (known.includes(name)) continue;
    const near = suggestion(name, known);
    const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
    warnings.add(rules.undefinedArgInFrom, range, `FROM argument '${name}' is not declared${hint}`);
  }
}

function checkPlatformFlag(
  { name, platform, range }: Stage,
  { text, matched, unmatched }: Looked,
  env: ReadonlyMap<string, string>,
  { facts, warnings }: { facts: CheckFacts; warnings: Warnings },
): void {
  const isTarget = matched.size === 1 && matched.has('TARGETPLATFORM') && text === env.get('TARGETPLATFORM');
  if (isTarget && unmatched.size === 0) {
    const detail = `Setting platform to predefined ${platform} in FROM is redundant as this is the default behavior`;
    warnings.add(rules.redundantTargetPlatform, range, detail);
  }
  if (matched.size > 0 || unmatched.size > 0) return;
  const constant = facts.parsePlatform(text);
  if (!constant || isNamed(name, constant)) return;
  const detail = `FROM --platform flag should not use constant value ${JSON.stringify(text)}`;
  warnings.add(rules.fromPlatformFlagConstDisallowed, range, detail);
}

/** A stage that says what it is for may be for nothing else. */
function isNamed(name: string, { os, architecture }: CheckedPlatform): boolean {
  return name.includes(os) || name.includes(architecture);
}
