import { crc32 } from 'node:zlib';

/** More are not taken up: these take 38 MB. */
const maxEntries = 1 << 20;

/** A chunk's place in a base. */
export interface ChunkPlace {
  readonly base: number;
  readonly offset: number;
}

/**
 * Chunks of base layers by checksum and length, the first of each kind. A checksum only suggests: who finds a place compares the bytes. Flat arrays, with
 * open addressing.
 */
export class ChunkTable {
  #slots = 1 << 12;
  #count = 0;
  #sums = new Uint32Array(this.#slots);
  #lengths = new Uint32Array(this.#slots);
  #bases = new Uint16Array(this.#slots);
  #offsets = new Float64Array(this.#slots);

  get isFull(): boolean {
    return this.#count >= maxEntries;
  }

  add(chunk: Buffer, place: ChunkPlace): void {
    if (this.isFull) return;
    if (this.#count * 4 >= this.#slots * 3) this.#grow();
    this.#put(crc32(chunk), chunk.length, place);
  }

  find(chunk: Buffer): ChunkPlace | undefined {
    const sum = crc32(chunk);
    for (let slot = this.#slotOf(sum, chunk.length); this.#lengths[slot] !== 0; slot = this.#next(slot))
      if (this.#sums[slot] === sum && this.#lengths[slot] === chunk.length)
        return { base: this.#bases[slot]!, offset: this.#offsets[slot]! };
    return undefined;
  }

  #put(sum: number, length: number, { base, offset }: ChunkPlace): void {
    let slot = this.#slotOf(sum, length);
    for (; this.#lengths[slot] !== 0; slot = this.#next(slot))
      if (this.#sums[slot] === sum && this.#lengths[slot] === length) return;
    this.#sums[slot] = sum;
    this.#lengths[slot] = length;
    this.#bases[slot] = base;
    this.#offsets[slot] = offset;
    this.#count++;
  }

  #slotOf(sum: number, length: number): number {
    return (sum ^ Math.imul(length, 0x9e3779b1)) & (this.#slots - 1);
  }

  #next(slot: number): number {
    return (slot + 1) & (this.#slots - 1);
  }

  #grow(): void {
    const [sums, lengths, bases, offsets] = [this.#sums, this.#lengths, this.#bases, this.#offsets];
    this.#slots *= 2;
    this.#count = 0;
    this.#sums = new Uint32Array(this.#slots);
    this.#lengths = new Uint32Array(this.#slots);
    this.#bases = new Uint16Array(this.#slots);
    this.#offsets = new Float64Array(this.#slots);
    for (const [slot, length] of lengths.entries())
      if (length !== 0) this.#put(sums[slot]!, length, { base: bases[slot]!, offset: offsets[slot]! });
  }
}
