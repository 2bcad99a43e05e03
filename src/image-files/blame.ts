import type { BlamedFile, BlameKind, BlameSums, FileAspect } from '#api-types';
import type { ByteString } from '#archive';
import { IndexFile, type IndexInode, isWhiteout } from '#erofs';
import { layerTag } from '#snapshots';
import { BlameTree, type Fate } from './blame-tree.ts';
import { pathFields } from './describe.ts';
import type { TreeSource } from './protocol.ts';
import { type LayerEntry, type ScannedTar, scanTar } from './tar-entries.ts';

/** A layer of an image by what became of its bytes. */
export interface LayerBlame {
  readonly sizeBytes: number;
  readonly sums: BlameSums;
  readonly files: number;
  readonly largest: readonly BlamedFile[];
  readonly waste: readonly BlamedFile[];
}

/** Every byte of an image's layers, from the bottom up. Reads all tars. Blocking. */
export function blameLayers(source: TreeSource, maxFiles: number): LayerBlame[] {
  const scans = new Map<string, ScannedTar>();
  const tree = new BlameTree();
  const layers: BlamedScan[] = [];
  for (const [layer, tar] of source.tars.entries()) {
    const scan = scans.get(tar) ?? scanTar(tar);
    scans.set(tar, scan);
    const blamed = new BlamedScan(layer, layerTag(source.chain[layer]!), scan);
    layers.push(blamed);
    using index = IndexFile.open(source.indexes[layer]!);
    findCopies(tree, layers, index);
    tree.add(layer, index, (path, inode) => fatesAt(layers, index, path, inode));
  }
  const judge = new Judge(layers);
  return layers.map((layer) => judge.sum(layer, maxFiles));
}

/** The entries of a layer's tar, found by where their data is and by path. */
class BlamedScan {
  readonly tag: string;
  readonly sizeBytes: number;
  readonly fates: readonly Fate[];
  readonly byOffset = new Map<number, Fate>();
  /** The last of each path. */
  readonly byPath = new Map<ByteString, Fate>();

  constructor(layer: number, tag: string, { entries, sizeBytes }: ScannedTar) {
    this.tag = tag;
    this.sizeBytes = sizeBytes;
    this.fates = entries.map((item) => ({ layer, item, names: 0, path: item.path }));
    for (const fate of this.fates) {
      if (fate.item.digest !== '') this.byOffset.set(fate.item.entry.dataOffset, fate);
      this.byPath.set(fate.item.path, fate);
    }
  }
}

/** The entry that holds the data of an inode, and the one that has its path: a hardlink's, say. */
function fatesAt(layers: readonly BlamedScan[], index: IndexFile, path: ByteString, inode: IndexInode): Fate[] {
  const own = layers.at(-1)!.byPath.get(path);
  const data = dataAt(layers, index, inode);
  return [...new Set([data, own].filter((fate) => fate !== undefined))];
}

function dataAt(layers: readonly BlamedScan[], index: IndexFile, inode: IndexInode): Fate | undefined {
  const run = inode.type === 'file' ? index.runs(inode)[0] : undefined;
  if (run === undefined || run.device === 0) return undefined;
  const { tag } = index.devices[run.device - 1]!;
  return layers.findLast((layer) => layer.tag === tag)?.byOffset.get(run.deviceOffset);
}

/** Files of the topmost layer that only repeat what is seen at their path below it. To be called before the layer is put on top. */
function findCopies(tree: BlameTree, layers: readonly BlamedScan[], index: IndexFile): void {
  for (const { path, inode } of index.walk()) {
    if (inode.type !== 'file' || isWhiteout(inode)) continue;
    const fate = fatesAt(layers, index, path, inode).find(({ item }) => item.digest !== '');
    const before = fate && tree.seenAt(path);
    if (!before || before === fate || fate.copyOf || before.item.digest !== fate.item.digest) continue;
    fate.copyOf = before;
    before.copiedBy = fate;
  }
}

interface Verdict extends Pick<BlamedFile, 'by' | 'of' | 'aspects'> {
  readonly kind: BlameKind;
}

/** Decides what each entry is. */
class Judge {
  /** The first entry of each contents that are seen. */
  readonly #firsts = new Map<string, Fate>();

  constructor(layers: readonly BlamedScan[]) {
    for (const { fates } of layers)
      for (const fate of fates)
        if (fate.item.digest !== '' && !fate.copyOf && this.#isSeen(fate) && !this.#firsts.has(fate.item.digest))
          this.#firsts.set(fate.item.digest, fate);
  }

  sum({ fates, byPath, sizeBytes }: BlamedScan, maxFiles: number): LayerBlame {
    const sums = noSums();
    sums.archive = sizeBytes;
    const files = fates.map((fate) => {
      const verdict = this.#verdict(fate, byPath);
      sums[verdict.kind] += fate.item.spanBytes;
      sums.archive -= fate.item.spanBytes;
      return { fate, verdict };
    });
    files.sort((a, b) => b.fate.item.spanBytes - a.fate.item.spanBytes);
    const waste = files.filter(({ verdict }) => verdict.kind !== 'kept');
    const tell = (some: typeof files) => some.slice(0, maxFiles).map(({ fate, verdict }) => blamedFile(fate, verdict));
    return { sizeBytes, sums, files: fates.length, largest: tell(files), waste: tell(waste) };
  }

  /** A file's contents are seen as long as a copy of it is. */
  #last(fate: Fate): Fate {
    let at = fate;
    while (at.names === 0 && at.copiedBy && at.gone?.kind === 'overwritten') at = at.copiedBy;
    return at;
  }

  #isSeen(fate: Fate): boolean {
    return this.#last(fate).names > 0;
  }

  #verdict(fate: Fate, byPath: ReadonlyMap<ByteString, Fate>): Verdict {
    const { item } = fate;
    if (fate.copyOf) return { kind: 'copied', of: placeOf(fate.copyOf), aspects: aspectsOf(fate.copyOf.item, item) };
    const { names, gone } = this.#last(fate);
    if (names > 0) return this.#seen(fate);
    if (gone) return isDescribedAnew(fate) ? { kind: 'kept' } : { kind: gone.kind, by: gone.by };
    // Nothing leads to it. Marks of what is gone are no files, and what has no contents may stand below a symlink.
    const isRepeated = byPath.get(item.path) !== fate || item.digest !== '';
    return { kind: isRepeated ? 'repeated' : 'kept' };
  }

  #seen(fate: Fate): Verdict {
    const first = fate.item.digest === '' ? fate : this.#firsts.get(fate.item.digest)!;
    return first === fate ? { kind: 'kept' } : { kind: 'duplicate', of: placeOf(first) };
  }
}

/** A folder that a layer above has an entry for too is still there. */
function isDescribedAnew({ gone, item }: Fate): boolean {
  return gone?.kind === 'overwritten' && item.entry.type === 'directory';
}

const placeOf = ({ layer, path }: Fate) => ({ layer, path: pathFields(path).path });

function aspectsOf({ entry: one }: LayerEntry, { entry: other }: LayerEntry): FileAspect[] {
  const shown = (xattrs: ReadonlyMap<string, Uint8Array>) =>
    JSON.stringify([...xattrs].map(([name, value]) => [name, Buffer.from(value).toString('latin1')]).sort());
  const differs: readonly (readonly [FileAspect, boolean])[] = [
    ['mode', one.mode !== other.mode],
    ['owner', one.uid !== other.uid || one.gid !== other.gid],
    ['xattrs', shown(one.xattrs) !== shown(other.xattrs)],
    ['modified', one.mtime.sec !== other.mtime.sec || one.mtime.nsec !== other.mtime.nsec],
  ];
  return differs.flatMap(([aspect, isOther]) => (isOther ? [aspect] : []));
}

function blamedFile({ path, item }: Fate, verdict: Verdict): BlamedFile {
  return { ...pathFields(path), sizeBytes: item.spanBytes, ...verdict };
}

function noSums(): Record<BlameKind, number> {
  return { kept: 0, overwritten: 0, deleted: 0, copied: 0, duplicate: 0, repeated: 0, archive: 0 };
}
