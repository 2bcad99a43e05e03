import { utf8FromBytes } from '#archive';
import { inSlices } from '#concurrency';
import { type Compared, compareUpper } from './compare-upper.ts';
import type { MergedFile } from './merged.ts';
import type { Change } from './types.ts';
import type { Upper } from './upper.ts';

/** Adds to a walk the unchanged folders that hold a change, as `modify`; leaves everything else unchanged out. */
export function* withParents(walk: Iterable<Compared>): Generator<Compared> {
  let held: Compared[] = [];
  for (const item of walk) {
    held = held.filter((folder) => item.path.startsWith(`${folder.path}/`));
    if (item.kind === 'same') {
      held.push(item);
      continue;
    }
    for (const folder of held) yield folder.kind === 'same' ? { ...folder, kind: 'modify' } : folder;
    held = [];
    yield item;
  }
}

/** What a writable layer changed, by Docker's rules: in a removed or added folder each name counts, but a removed folder counts once. */
export async function listChanges(upper: Upper, below: MergedFile | undefined): Promise<readonly Change[]> {
  const changes: { kind: Change['kind']; bytes: string }[] = [];
  for await (const { kind, path } of inSlices(withParents(compareUpper(upper, below, { strict: false })))) {
    if (kind !== 'same') changes.push({ kind, bytes: path });
  }
  changes.sort((a, b) => (a.bytes < b.bytes ? -1 : 1));
  return changes.map(({ kind, bytes }) => ({ kind, path: `/${utf8FromBytes(bytes)}` }));
}

/** Whether {@link listChanges} would list anything. */
export async function hasChanges(upper: Upper, below: MergedFile | undefined): Promise<boolean> {
  for await (const { kind } of inSlices(compareUpper(upper, below, { strict: false })))
    if (kind !== 'same') return true;
  return false;
}
