import type { ByteString } from '#archive';
import { type IgnoreMatcher, suggestion } from '#dockerfile';
import { baseOf, joinTree, parentOf, printable, type SourceTree, statPath } from './source-tree.ts';

/**
 * Why a source may not be there, behind the words of Docker: the pattern of .dockerignore that hides it, the symlink that
 * leads out of the context, or the name it may have been meant to be. Empty when none is known.
 */
export async function missingHint(
  tree: SourceTree,
  path: ByteString,
  ignored: IgnoreMatcher | undefined,
): Promise<string> {
  const rule = ignored?.decide(printable(path));
  if (rule && !rule.exception) return ` (.dockerignore leaves it out: ${rule.pattern})`;
  const link = await leadsNowhere(tree, path);
  if (link) return ` (${printable(link.path)} is a symlink to ${printable(link.target)}, which is not in the context)`;
  const near = await nearestName(tree, path);
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}

/** The symlink on the way that has nothing behind it. */
async function leadsNowhere(tree: SourceTree, path: ByteString) {
  for (let at = path; at !== ''; at = parentOf(at)) {
    const node = await tree.lstat(at);
    if (node?.type === 'symlink' && !(await statPath(tree, at))) return { path: at, target: node.linkPath };
  }
  return undefined;
}

/** Corrects the first part of the path that is not there; what comes behind it has to be there then. */
async function nearestName(tree: SourceTree, path: ByteString): Promise<string | undefined> {
  let [missing, rest] = [path, ''];
  while (parentOf(missing) !== '' && (await tree.lstat(parentOf(missing)))?.type !== 'directory') {
    rest = joinTree(baseOf(missing), rest);
    missing = parentOf(missing);
  }
  const folder = parentOf(missing);
  const names = (await tree.list(folder)).map(printable);
  const name = suggestion(printable(baseOf(missing)), names) ?? sameLetters(printable(baseOf(missing)), names);
  if (name === undefined) return undefined;
  const whole = joinTree(joinTree(folder, Buffer.from(name).toString('latin1')), rest);
  return (await tree.lstat(whole)) ? printable(whole) : undefined;
}

/** `readme.md` for `README.md`. */
function sameLetters(written: string, names: readonly string[]): string | undefined {
  return names.find((name) => name.toLowerCase() === written.toLowerCase());
}
