import { EngineError } from '#errdefs';
import { blockBytes, chunkIndexBytes, maxChunkShift } from './format.ts';
import type { DataRun, DataSource } from './types.ts';

/** How a file with holes is cut into chunks of one size. */
export interface ChunkPlan {
  /** Chunk size is a block shifted by this. */
  readonly shift: number;
  readonly chunkBytes: number;
  readonly count: number;
  /** Chunks that hold data, ordered; all others are holes. */
  readonly chunks: readonly Chunk[];
}

export type Chunk =
  | { readonly number: number; readonly source: DataSource; readonly sourceBlock: number }
  /** Data that cannot be pointed at: these bytes are copied into the index. */
  | { readonly number: number; readonly copy: readonly DataRun[] };

/** A map this large describes a 4 GiB file block by block; larger files get larger chunks. */
const maxMapBytes = 64 << 20;
const maxChunks = maxMapBytes / chunkIndexBytes;
/** What copying odd chunks may add to an index. */
const maxCopiedBytes = 1 << 30;

/**
 * Chooses the largest chunk at which every run can be pointed at where it lies; runs that lie oddly, and files whose map would be too
 * large that way, have the chunks in question copied instead.
 * @throws `invalid-argument` when a file is beyond what an index can describe.
 */
export function planChunks(sizeBytes: number, runs: readonly DataRun[]): ChunkPlan {
  let shift = alignedShift(sizeBytes, runs);
  while (Math.ceil(sizeBytes / (blockBytes * 2 ** shift)) > maxChunks) shift++;
  if (shift > maxChunkShift) throw absurd();
  const chunkBytes = blockBytes * 2 ** shift;
  const chunks = cutRuns(sizeBytes, runs, chunkBytes);
  const copied = chunks.filter((chunk) => 'copy' in chunk).length;
  if (copied * Math.min(chunkBytes, sizeBytes) > maxCopiedBytes) throw absurd();
  return { shift, chunkBytes, count: Math.ceil(sizeBytes / chunkBytes), chunks };
}

function absurd(): EngineError {
  return new EngineError('invalid-argument', 'layer: a sparse file is too large or too scattered to index');
}

/** The largest shift at which runs start and end on chunk borders (or the file's end); 0 when they do not even at one block. */
function alignedShift(sizeBytes: number, runs: readonly DataRun[]): number {
  let shift = 0;
  const fits = (chunkBytes: number) =>
    runs.every(
      ({ offset, lengthBytes }) =>
        offset % chunkBytes === 0 && ((offset + lengthBytes) % chunkBytes === 0 || offset + lengthBytes === sizeBytes),
    );
  while (shift < maxChunkShift && blockBytes * 2 ** shift < sizeBytes && fits(blockBytes * 2 ** (shift + 1))) shift++;
  return shift;
}

function cutRuns(sizeBytes: number, runs: readonly DataRun[], chunkBytes: number): Chunk[] {
  const chunks: Chunk[] = [];
  let pieces: DataRun[] = [];
  let number = -1;
  const flush = () => {
    if (pieces.length > 0) chunks.push(chunkOf(number, pieces, sizeBytes, chunkBytes));
    if (chunks.length > maxChunks) throw absurd();
    pieces = [];
  };
  for (const run of runs) {
    for (let done = 0; done < run.lengthBytes; ) {
      const at = run.offset + done;
      const here = Math.floor(at / chunkBytes);
      if (here !== number) flush();
      number = here;
      const lengthBytes = Math.min(run.lengthBytes - done, (here + 1) * chunkBytes - at);
      pieces.push({ offset: at, lengthBytes, source: run.source, sourceOffset: run.sourceOffset + done });
      done += lengthBytes;
    }
  }
  flush();
  return chunks;
}

/** A chunk can point at its data when one piece fills it (or the rest of the file) from a block border of a device. */
function chunkOf(number: number, pieces: readonly DataRun[], sizeBytes: number, chunkBytes: number): Chunk {
  const [piece] = pieces;
  const start = number * chunkBytes;
  const wanted = Math.min(chunkBytes, sizeBytes - start);
  const { source, sourceOffset, lengthBytes } = piece!;
  const isWhole = pieces.length === 1 && lengthBytes === wanted && sourceOffset % blockBytes === 0;
  const isReachable = source.tag !== '' && sourceOffset + lengthBytes <= wholeBlocks(source);
  return isWhole && isReachable ? { number, source, sourceBlock: sourceOffset / blockBytes } : { number, copy: pieces };
}

/** Bytes of a device that lie in whole blocks: the kernel reads no others. */
export function wholeBlocks({ sizeBytes }: DataSource): number {
  return sizeBytes - (sizeBytes % blockBytes);
}
