import { type ChunkPlace, ChunkTable } from './chunk-table.ts';
import { commonPrefix, commonSuffix } from './common-bytes.ts';
import { cutAfter, maxChunkBytes } from './cut.ts';
import { type LayerFile, LayerReader, LayerWindow } from './layer-reader.ts';
import { PieceBuilder } from './piece-builder.ts';

/** A shorter copy says more than it saves. */
const minCopyBytes = 32;
/** Shorter chunks are everywhere. */
const minIndexedBytes = 128;
/** Compared at once, first and at most: what is alike for long goes by at the speed of memory. */
const firstStepBytes = 4 << 10;
const stepBytes = 256 << 10;

/** The pieces of each layer, in order, by its position. A layer without bytes has one that makes nothing. Blocking. */
export function* diffLayers(
  bases: readonly LayerFile[],
  layers: readonly LayerFile[],
): Generator<{ layer: number; bytes: Buffer }> {
  using resources = new DisposableStack();
  const readers = bases.map((base) => resources.use(new LayerReader(base)));
  const table = layers.length === 0 ? new ChunkTable() : indexed(readers);
  for (const [layer, file] of layers.entries()) {
    using reader = new LayerReader(file);
    for (const bytes of new LayerDiffer(reader, readers, table).pieces()) yield { layer, bytes };
  }
}

function indexed(bases: readonly LayerReader[]): ChunkTable {
  const table = new ChunkTable();
  for (const [base, reader] of bases.entries()) {
    const window = new LayerWindow(reader);
    for (let offset = 0; offset < window.sizeBytes && !table.isFull; ) {
      const chunk = nextChunk(window, offset);
      if (chunk.length >= minIndexedBytes) table.add(chunk, { base, offset });
      offset += chunk.length;
    }
  }
  return table;
}

/** Up to where a file begins or ends, or where the content says. */
function nextChunk(window: LayerWindow, offset: number): Buffer {
  const bytes = window.from(offset, maxChunkBytes);
  const end = Math.min(bytes.length, window.borderAfter(offset) - offset);
  return bytes.subarray(0, cutAfter(bytes, 0, end));
}

class LayerDiffer {
  readonly #reader: LayerReader;
  readonly #bases: readonly LayerReader[];
  readonly #table: ChunkTable;
  readonly #window: LayerWindow;
  readonly #builder: PieceBuilder;
  readonly #scratch = Buffer.allocUnsafeSlow(stepBytes);
  readonly #earlier = Buffer.allocUnsafeSlow(maxChunkBytes);
  /** What of which base would come next, were the layer the base from here on. */
  #following: ChunkPlace | undefined;

  constructor(reader: LayerReader, bases: readonly LayerReader[], table: ChunkTable) {
    this.#reader = reader;
    this.#bases = bases;
    this.#table = table;
    this.#window = new LayerWindow(reader);
    this.#builder = new PieceBuilder(reader);
  }

  *pieces(): Generator<Buffer> {
    let written = 0;
    while (this.#builder.end < this.#window.sizeBytes) {
      if (this.#builder.isFullFor(stepBytes)) {
        yield this.#builder.write();
        written++;
      }
      this.#step();
    }
    if (!this.#builder.isEmpty || written === 0) yield this.#builder.write();
  }

  /** One chunk, or what a base has in common with the layer here. */
  #step(): void {
    if (this.#following && this.#follow(this.#following)) return;
    const chunk = nextChunk(this.#window, this.#builder.end);
    const place = chunk.length >= minIndexedBytes ? this.#table.find(chunk) : undefined;
    if (place && this.#baseBytes(place, chunk.length).equals(chunk)) this.#copy(chunk, place);
    else {
      // Changed in place, perhaps: the base is looked at again behind it.
      this.#builder.add(chunk);
      this.#moveOn(chunk.length);
    }
  }

  /** Copies as long as the base goes on as the layer does. */
  #follow(place: ChunkPlace): boolean {
    const step = this.#builder.dataAtEnd > 0 || this.#builder.isEmpty ? firstStepBytes : stepBytes;
    const bytes = this.#window.from(this.#builder.end, step).subarray(0, step);
    const common = commonPrefix(bytes, this.#baseBytes(place, bytes.length));
    if (common < Math.min(minCopyBytes, bytes.length)) return false;
    this.#copy(bytes.subarray(0, common), place);
    return true;
  }

  #copy(bytes: Buffer, place: ChunkPlace): void {
    this.#builder.copy(bytes, place.base, place.offset, this.#commonBefore(place));
    this.#following = place;
    this.#moveOn(bytes.length);
  }

  #moveOn(lengthBytes: number): void {
    if (!this.#following) return;
    const { base, offset } = this.#following;
    this.#following = { base, offset: offset + lengthBytes };
  }

  /** How much of the new bytes so far is in the base before `place`. */
  #commonBefore({ base, offset }: ChunkPlace): number {
    const length = Math.min(this.#builder.dataAtEnd, offset, maxChunkBytes);
    if (length === 0) return 0;
    const before = this.#bases[base]!.read(this.#scratch.subarray(0, length), offset - length);
    const own = this.#reader.read(this.#earlier.subarray(0, length), this.#builder.end - length);
    return commonSuffix(own, before);
  }

  #baseBytes({ base, offset }: ChunkPlace, lengthBytes: number): Buffer {
    const reader = this.#bases[base]!;
    const length = Math.max(0, Math.min(lengthBytes, reader.file.sizeBytes - offset));
    return reader.read(this.#scratch.subarray(0, length), offset);
  }
}
