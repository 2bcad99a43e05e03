import { opaqueXattr } from './format.ts';
import { type IndexFile, type IndexInode, isOpaque, isWhiteout } from './image.ts';
import type { DataRun, DataSource, LowerInode, LowerLookup } from './types.ts';

/** The tar behind a device tag. */
export type SourceOf = (tag: string, sizeBytes: number) => DataSource;

/** An inode in one of the indexes of a chain. */
export interface Place {
  readonly index: IndexFile;
  readonly inode: IndexInode;
}

/**
 * The merged view of a chain, from its indexes, topmost first: whiteouts and opaque directories hide, directories merge, attributes are
 * the topmost's, as overlayfs stacks them. `sourceOf` answers the tar behind a device tag.
 */
export function chainLookup(indexes: readonly IndexFile[], sourceOf: SourceOf): LowerLookup {
  const roots = indexes.map((index) => ({ index, inode: index.root }));
  return (path) => {
    let places = visible(roots);
    for (const name of path === '' ? [] : path.split('/')) {
      const next: Place[] = [];
      for (const { index, inode } of places) {
        const child = index.lookup(inode, name);
        if (child) next.push({ index, inode: child });
      }
      places = visible(next);
    }
    return places[0] && describe(places[0], sourceOf);
  };
}

/** What stands at a place, free of what it meant to its own layer. */
export function describe(place: Place, sourceOf: SourceOf): LowerInode {
  return { ...place.inode, xattrs: withoutMarks(place.inode), runs: runsOf(place, sourceOf) };
}

/** Marks for overlayfs belong to a layer, not to the file. */
function withoutMarks(inode: IndexInode): IndexInode['xattrs'] {
  return isOpaque(inode) ? new Map([...inode.xattrs].filter(([name]) => name !== opaqueXattr)) : inode.xattrs;
}

/** What of equal paths, topmost first, is seen: directories down to the first that hides the rest, or a single other inode. */
export function visible(places: readonly Place[]): Place[] {
  const seen: Place[] = [];
  for (const place of places) {
    if (isWhiteout(place.inode)) break;
    if (place.inode.type !== 'directory') return seen.length === 0 ? [place] : seen;
    seen.push(place);
    if (isOpaque(place.inode)) break;
  }
  return seen;
}

function runsOf({ index, inode }: Place, sourceOf: SourceOf): DataRun[] {
  return index.runs(inode).map(({ offset, lengthBytes, device, deviceOffset }) => ({
    offset,
    lengthBytes,
    source:
      device === 0 ? ownSource(index) : sourceOf(index.devices[device - 1]!.tag, index.devices[device - 1]!.sizeBytes),
    sourceOffset: deviceOffset,
  }));
}

function ownSource(index: IndexFile): DataSource {
  return { tag: '', sizeBytes: 0, read: (target, offset) => index.read(target, offset) };
}
