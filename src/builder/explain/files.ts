import type { BuildCause, BuildFileCause } from '#api-types';
import type { FileComponent } from '../executor/index.ts';

/** What explanations ask of the files as they are now. */
export interface FilesNow {
  /** The lines of a list that is too long for a record, by its digest. */
  linesOf(content: string): Promise<readonly string[] | undefined>;
  /** What a file's digest would be under another name or with another mode; undefined where that cannot be told. */
  digestAs(path: string, changed: { name?: string; mode?: number }): Promise<string | undefined>;
  /** The pattern of .dockerignore that hides a path. */
  ignoredBy(path: string): string | undefined;
}

/** Pairs of a removed and an added file that are looked at for a rename. */
const maxPairs = 400;

/** Files that are named of one step; of more it is only said that there are more. */
const maxNamed = 1000;

/** What {@link fileCauses} says of two lists, which are compared as text: only the lines that differ are looked into. */
export async function listCauses(
  before: readonly string[],
  after: readonly string[],
  now: FilesNow,
): Promise<BuildCause[]> {
  const [old, fresh] = differing(before, after);
  const decode = (lines: readonly string[]) => lines.map((line) => JSON.parse(line) as FileComponent);
  const causes = await fileCauses(decode(old), decode(fresh), now);
  return causes.length <= maxNamed ? causes : [...causes.slice(0, maxNamed), { kind: 'files' }];
}

/** The lines of each that the other has not. */
function differing(before: readonly string[], after: readonly string[]): [string[], string[]] {
  let start = 0;
  while (start < before.length && before[start] === after[start]) start++;
  let end = 0;
  const most = Math.min(before.length, after.length) - start;
  while (end < most && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  const old = before.slice(start, before.length - end);
  const fresh = after.slice(start, after.length - end);
  const [had, has] = [new Set(old), new Set(fresh)];
  return [old.filter((line) => !has.has(line)), fresh.filter((line) => !had.has(line))];
}

/** What differs between the files that a step was made of and those it would be made of now; renames are told from a removal and an addition. */
export async function fileCauses(
  before: readonly FileComponent[],
  after: readonly FileComponent[],
  now: FilesNow,
): Promise<BuildFileCause[]> {
  const old = new Map(before.map((file) => [file[0], file]));
  const fresh = new Map(after.map((file) => [file[0], file]));
  const removed = before.filter(([path]) => !fresh.has(path));
  const added = after.filter(([path]) => !old.has(path));
  const causes: BuildFileCause[] = [];
  for (const [path, file] of fresh) {
    const earlier = old.get(path);
    if (earlier) causes.push(...(await changesOf(earlier, file, now)));
  }
  const renamed = await renames(removed, added, now);
  for (const [from, to] of renamed) causes.push({ kind: 'file', change: 'renamed', path: to, before: from, after: to });
  const [sources, targets] = [new Set(renamed.keys()), new Set(renamed.values())];
  for (const [path] of removed) {
    if (sources.has(path)) continue;
    const ignoredBy = now.ignoredBy(path);
    causes.push({ kind: 'file', change: 'removed', path, ...(ignoredBy === undefined ? {} : { ignoredBy }) });
  }
  for (const [path] of added) if (!targets.has(path)) causes.push({ kind: 'file', change: 'added', path });
  return causes;
}

async function changesOf(earlier: FileComponent, file: FileComponent, now: FilesNow): Promise<BuildFileCause[]> {
  const [path, type, owner, mode, content] = file;
  const [, oldType, oldOwner, oldMode, oldContent] = earlier;
  const changed = (change: BuildFileCause['change'], before: string, after: string): BuildFileCause => ({
    ...{ kind: 'file', change, path, before, after },
  });
  if (type !== oldType) return [changed('type', oldType, type)];
  const causes: BuildFileCause[] = [];
  if (owner !== oldOwner) causes.push(changed('owner', oldOwner, owner));
  if (mode !== oldMode) causes.push(changed('mode', oldMode, mode));
  if (content === oldContent) return causes;
  if (type === 'symlink')
    return [...causes, changed('target', oldContent.replace('-> ', ''), content.replace('-> ', ''))];
  // A file's digest takes up its mode: one that has only that changed has the old digest with the old mode.
  if (mode !== oldMode && (await now.digestAs(path, { mode: Number.parseInt(oldMode, 8) })) === oldContent)
    return causes;
  return [...causes, { kind: 'file', change: 'content', path }];
}

/** Removed paths to added ones whose bytes, under the old name, have the old digest. */
async function renames(
  removed: readonly FileComponent[],
  added: readonly FileComponent[],
  now: FilesNow,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  if (removed.length * added.length > maxPairs) return found;
  const taken = new Set<string>();
  for (const [from, type, , mode, content] of removed) {
    for (const [to, toType, , toMode] of added) {
      if (type !== 'file' || toType !== 'file' || mode !== toMode || taken.has(to)) continue;
      if ((await now.digestAs(to, { name: from })) !== content) continue;
      found.set(from, to);
      taken.add(to);
      break;
    }
  }
  return found;
}
