import type { BuildWarning } from '#api-types';
import {
  blamedWords,
  type CheckedBase,
  type CheckOptions,
  checkDockerfile,
  checkOptionsOf,
  excerptOf,
  LocationError,
  SyntaxFault,
} from '#dockerfile';
import { type Platform, parsePlatform, type RunConfig } from '#oci';
import { parseReference } from '#reference';
import type { ReadContext } from './context.ts';
import { type BuildPlan, predefinedArguments, type ResolvedBase } from './convert/index.ts';
import { textOf } from './fault.ts';
import type { BuilderHost, BuildRequest } from './types.ts';

export interface Checked {
  readonly warnings: readonly BuildWarning[];
  /** That a warning fails the build was asked for, and there is one. */
  readonly failure?: LocationError;
}

/** What BuildKit's checks say of a Dockerfile whose bases are there. Of stages that the target does not need only the FROM is looked at. */
export function checkBuild(
  host: Pick<BuilderHost, 'platform'>,
  request: Pick<BuildRequest, 'buildArgs' | 'platform' | 'target'>,
  { dockerfile, text, ignored }: Pick<ReadContext, 'dockerfile' | 'text' | 'ignored'>,
  { plan, bases }: { plan: BuildPlan; bases: ReadonlyMap<number, ResolvedBase> },
): Checked {
  const { buildArgs } = request;
  const targetPlatform = request.platform ? parsePlatform(request.platform) : host.platform;
  const options = checkOptionsOf(dockerfile, buildArgs);
  const facts = {
    ...{ buildArgs, targetPlatform, ignored, isReference },
    predefined: predefinedArguments(host.platform, targetPlatform, request.target),
    bases: checkedBases(plan, bases),
    checked: new Set(plan.stages.flatMap(({ stage, needed }) => (needed ? [stage.index] : []))),
    parsePlatform: platformOf,
  };
  const warnings = checkDockerfile(dockerfile, facts, options).map((warning): BuildWarning => {
    const words = blamedWords(warning.detail, textOf(text.lines, warning));
    return { ...warning, file: text.name, excerpt: excerptOf(text.lines, { name: text.name, range: warning, words }) };
  });
  return { warnings, ...failureOf(options, warnings, text.lines) };
}

/** What every client is told at the end of a build, in the words of dockerd's own warnings there. */
export function warningText(warnings: readonly BuildWarning[]): string {
  return warnings.map(({ rule, detail, startLine }) => `[Warning] ${rule}: ${detail} (line ${startLine})\n`).join('');
}

/** @throws LocationError when what says how to check cannot be read */
export function requireCheckOptions({ dockerfile, text }: ReadContext, buildArgs: BuildRequest['buildArgs']): void {
  try {
    checkOptionsOf(dockerfile, buildArgs);
  } catch (error) {
    const line = text.lines.findIndex((each) => /^\s*#\s*check\s*=/i.test(each)) + 1;
    if (!(error instanceof SyntaxFault) || line === 0) throw error;
    throw new LocationError(error.message, { startLine: line, endLine: line }, { cause: error });
  }
}

function failureOf(
  options: CheckOptions,
  warnings: readonly BuildWarning[],
  lines: readonly string[],
): { failure?: LocationError } {
  const [first] = warnings;
  if (!options.error || !first) return {};
  const names = [...new Set(warnings.map(({ rule }) => rule))];
  const words = blamedWords(first.detail, textOf(lines, first));
  const message = `lint violation found for rules: ${names.join(', ')}`;
  return { failure: new LocationError(message, first, words === undefined ? {} : { words }) };
}

function checkedBases(plan: BuildPlan, bases: ReadonlyMap<number, ResolvedBase>): Map<number, CheckedBase> {
  return new Map(
    plan.stages.map(({ stage, base }): [number, CheckedBase] => {
      if (base.kind === 'files') return [stage.index, { kind: 'scratch' }];
      if (base.kind !== 'image') return [stage.index, base];
      const resolved = bases.get(stage.index);
      return [stage.index, { ...base, ...(resolved ? { image: checkedImage(resolved) } : {}) }];
    }),
  );
}

function checkedImage({ config: { os, architecture, config } }: ResolvedBase) {
  const { Env, Shell, OnBuild }: RunConfig = config ?? {};
  return { env: Env ?? [], shell: Shell ?? [], triggers: OnBuild ?? [], platform: { os, architecture } };
}

function isReference(text: string): boolean {
  try {
    parseReference(text);
    return true;
  } catch {
    return false;
  }
}

function platformOf(text: string): Platform | undefined {
  try {
    return parsePlatform(text);
  } catch {
    return undefined;
  }
}
