import { Recipe, type Segment, type StoredBlob } from '#content';
import type { DiffID, Digest } from '#oci';
import type { ListedFile } from './content-list.ts';
import { blocksWithin, diskBlockBytes } from './share-blocks.ts';

/** Where the contents of a file lie in the file of a layer, for good. */
export interface Donor {
  readonly layer: DiffID;
  readonly dataOffset: number;
}

/** The kernel opens them all with the layer, and has a device for each. */
const maxSources = 32;
/** The kernel reads data in these blocks, so it has to begin on one, and so does everything in a tar. */
const indexBlockBytes = 512;
/** Headers between files that are elsewhere go into the recipe; a run of more than that ends. */
const maxGapBytes = 16 << 10;

/** Files in a row that others have as well, with what is between them. */
interface Run {
  readonly files: { readonly file: ListedFile; readonly donor: Donor }[];
  readonly gaps: { readonly offset: number; readonly lengthBytes: number }[];
}

/**
 * Which bytes of a layer others have, file by file, where leaving them out of its own file frees blocks. `donors`, by the digest of the contents, gets the
 * files that the layer keeps. Undefined where there is nothing to gain. Blocking.
 */
export function planRecipe(
  { diffID, files }: { readonly diffID: DiffID; readonly files: readonly ListedFile[] },
  tar: StoredBlob,
  donors: Map<string, Donor>,
): Recipe | undefined {
  const ordered = [...files].sort((one, other) => one.dataOffset - other.dataOffset);
  const allowed = bestSources(diffID, ordered, donors);
  const segments: Segment[] = [];
  const literals: Buffer[] = [];
  let literalBytes = 0;
  const literal = (offset: number, lengthBytes: number) => {
    const bytes = Buffer.alloc(lengthBytes);
    tar.readFully(bytes, offset);
    literals.push(bytes);
    segments.push({ offset, lengthBytes, source: undefined, sourceOffset: literalBytes });
    literalBytes += lengthBytes;
  };
  for (const { files: shared, gaps } of runsOf(ordered, tar.sizeBytes, { diffID, donors, allowed })) {
    for (const [at, { file, donor }] of shared.entries()) {
      const gap = gaps[at - 1];
      if (gap && gap.lengthBytes > 0) literal(gap.offset, gap.lengthBytes);
      const { dataOffset: offset, sizeBytes: lengthBytes } = file;
      segments.push({ offset, lengthBytes, source: donor.layer as string as Digest, sourceOffset: donor.dataOffset });
    }
  }
  return segments.length === 0 ? undefined : new Recipe(segments, Buffer.concat(literals));
}

interface Choice {
  readonly diffID: DiffID;
  readonly donors: Map<string, Donor>;
  readonly allowed: ReadonlySet<DiffID>;
}

/** Runs that free blocks. What is not in one stays, and is offered to who comes next. */
function* runsOf(files: readonly ListedFile[], tarBytes: number, choice: Choice): Generator<Run> {
  let open: Run = { files: [], gaps: [] };
  const wholeBytes = tarBytes - (tarBytes % indexBlockBytes);
  const close = (): Run[] => {
    const run = open;
    open = { files: [], gaps: [] };
    if (freedBytes(run) > 0) return [run];
    return [];
  };
  for (const file of files) {
    const donor = choice.donors.get(file.digest);
    const isAligned = file.dataOffset % indexBlockBytes === 0 && file.dataOffset + file.sizeBytes <= wholeBytes;
    const last = open.files.at(-1)?.file;
    const gap = last && { offset: endOf(last), lengthBytes: file.dataOffset - endOf(last) };
    const isShared = donor !== undefined && isAligned && choice.allowed.has(donor.layer);
    if (!isShared || (gap && gap.lengthBytes > maxGapBytes)) yield* close();
    if (isShared) {
      if (open.files.length > 0) open.gaps.push(gap!);
      open.files.push({ file, donor });
    } else if (donor === undefined && isAligned) {
      choice.donors.set(file.digest, { layer: choice.diffID, dataOffset: file.dataOffset });
    }
  }
  yield* close();
}

const endOf = ({ dataOffset, sizeBytes }: ListedFile) => dataOffset + sizeBytes;

/** Whole blocks of the disk that a run takes, less what the recipe gets of it. */
function freedBytes({ files, gaps }: Run): number {
  if (files.length === 0) return 0;
  const start = files[0]!.file.dataOffset;
  const { lengthBytes } = blocksWithin(start, endOf(files.at(-1)!.file) - start);
  const kept = gaps.reduce((sum, gap) => sum + gap.lengthBytes, 0) + diskBlockBytes / 4;
  return lengthBytes - kept;
}

/** Those that have the most; the layer itself is open anyway. */
function bestSources(
  diffID: DiffID,
  files: readonly ListedFile[],
  donors: ReadonlyMap<string, Donor>,
): ReadonlySet<DiffID> {
  const bytes = new Map<DiffID, number>();
  for (const { digest, sizeBytes } of files) {
    const layer = donors.get(digest)?.layer;
    if (layer !== undefined) bytes.set(layer, (bytes.get(layer) ?? 0) + sizeBytes);
  }
  const best = [...bytes].sort(([, one], [, other]) => other - one).slice(0, maxSources);
  return new Set([diffID, ...best.map(([layer]) => layer)]);
}

/** The files that a layer keeps, for others to read. */
export function offer(
  { diffID, files }: { readonly diffID: DiffID; readonly files: readonly ListedFile[] },
  tar: StoredBlob,
  donors: Map<string, Donor>,
): void {
  const wholeBytes = tar.sizeBytes - (tar.sizeBytes % indexBlockBytes);
  for (const file of files) {
    const isOwn = file.dataOffset % indexBlockBytes === 0 && endOf(file) <= wholeBytes && keeps(tar, file);
    if (isOwn && !donors.has(file.digest)) donors.set(file.digest, { layer: diffID, dataOffset: file.dataOffset });
  }
}

function keeps({ recipe }: StoredBlob, file: ListedFile): boolean {
  if (!recipe) return true;
  const [first] = recipe.pieces(file.dataOffset, endOf(file));
  return first?.segment === undefined && first?.lengthBytes === file.sizeBytes;
}
