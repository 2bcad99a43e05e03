import type { BuildCause } from '#api-types';
import type { KeyComponents } from '../executor/index.ts';
import { type FilesNow, fileCauses, listCauses } from './files.ts';

/** Parts of a key that other causes speak for. */
const spokenFor = new Set([
  'parent',
  'platform',
  'operation',
  'written',
  'files',
  'content',
  'createdBy',
  'config',
  'args',
]);

export interface Circumstances extends FilesNow {
  /** The step that left the state before, when it ran in this build; undefined on a base image. */
  readonly stepBefore?: number;
}

/** Everything that differs from an earlier step, what came first in front. Never empty for steps with different keys. */
export async function causesOf(
  before: KeyComponents,
  after: KeyComponents,
  circumstances: Circumstances,
): Promise<BuildCause[]> {
  const causes: BuildCause[] = [...parentCause(before, after, circumstances)];
  if (before.platform !== after.platform) {
    causes.push({ kind: 'platform', before: before.platform, after: after.platform });
  }
  causes.push(...wordCauses(before, after));
  causes.push(...(await filesOf(before, after, circumstances)));
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (spokenFor.has(name) || isEqual(before[name], after[name]) || isConsequence(name, causes)) continue;
    if (!isToldByWords(name, causes)) causes.push({ kind: 'setting', name });
  }
  if (causes.length === 0) causes.push(...unwritten(before, after));
  return causes;
}

function parentCause(before: KeyComponents, after: KeyComponents, { stepBefore }: Circumstances): BuildCause[] {
  if (before.parent === after.parent) return [];
  if (stepBefore !== undefined) return [{ kind: 'step-before', step: stepBefore }];
  return [{ kind: 'base', before: before.parent, after: after.parent }];
}

/** The line itself, or what was put into it. */
function wordCauses(before: KeyComponents, after: KeyComponents): BuildCause[] {
  const [old, now] = [before.written, after.written];
  if (!old || !now) return [];
  const causes: BuildCause[] = [];
  if (old.text !== now.text) causes.push({ kind: 'instruction', before: old.text, after: now.text });
  for (const name of new Set([...Object.keys(old.variables), ...Object.keys(now.variables)])) {
    const [was, is] = [old.variables[name] ?? null, now.variables[name] ?? null];
    if (was !== is) causes.push({ kind: 'variable', name, before: was, after: is });
  }
  return causes;
}

async function filesOf(before: KeyComponents, after: KeyComponents, now: FilesNow): Promise<BuildCause[]> {
  if (before['content'] === after['content']) return [];
  if (before.files && after.files) return await fileCauses(before.files, after.files, now);
  const [old, fresh] = [await linesOf(before, now), await linesOf(after, now)];
  return old && fresh ? await listCauses(old, fresh, now) : [{ kind: 'files' }];
}

async function linesOf({ files, content }: KeyComponents, now: FilesNow): Promise<readonly string[] | undefined> {
  if (files) return files.map((file) => JSON.stringify(file));
  return typeof content === 'string' ? await now.linesOf(content) : undefined;
}

/** With another base, or another state before it, a step takes place at another time. */
function isConsequence(name: string, causes: readonly BuildCause[]): boolean {
  return name === 'buildTime' && causes.some((cause) => cause.kind === 'base' || cause.kind === 'step-before');
}

/** A destination, say, is part of the line. */
function isToldByWords(name: string, causes: readonly BuildCause[]): boolean {
  if (name === 'networkMode') return causes.some((cause) => cause.kind === 'instruction');
  return causes.some((cause) => cause.kind === 'instruction' || cause.kind === 'variable');
}

/** The configuration that a step left, or its command as history has it: changed by something no line shows. */
function unwritten(before: KeyComponents, after: KeyComponents): BuildCause[] {
  const name = ['config', 'args', 'createdBy'].find((part) => !isEqual(before[part], after[part]));
  return [{ kind: 'setting', name: name === 'args' ? 'heredoc' : (name ?? 'key') }];
}

function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
