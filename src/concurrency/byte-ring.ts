const slotBytes = 1 << 20;
const slotCount = 4;
const cells = { filled: 0, taken: 1, stage: 2, turn: 3, lengths: 4 } as const;
const headBytes = (cells.lengths + slotCount) * Int32Array.BYTES_PER_ELEMENT;
const stages = { open: 0, ended: 1, abandoned: 2 } as const;

/** Memory that two threads see, for bytes from one to the other: as many as it holds may be ahead of their reader. */
class Ring {
  readonly memory: SharedArrayBuffer;
  protected readonly cells: Int32Array<SharedArrayBuffer>;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.cells = new Int32Array(memory, 0, cells.lengths + slotCount);
  }

  protected slot(number: number, lengthBytes: number): Buffer {
    return Buffer.from(this.memory, headBytes + (number % slotCount) * slotBytes, lengthBytes);
  }

  protected tell(): void {
    Atomics.add(this.cells, cells.turn, 1);
    Atomics.notify(this.cells, cells.turn);
  }

  /** Answers the stage that it is in afterwards: the first that was set stays. */
  protected settle(stage: number): void {
    Atomics.compareExchange(this.cells, cells.stage, stages.open, stage);
    this.tell();
  }
}

/** The end that gives, in a worker thread: blocks while the ring is full. */
export class RingWriter extends Ring {
  #slot: Buffer | undefined;
  #fill = 0;

  /** What the slot in hand has left, a whole one where that is less than `wanted`: for bytes to be put there, and then told by {@link advance}. */
  room(wanted = 1): Buffer {
    if (this.#slot && slotBytes - this.#fill < Math.min(wanted, slotBytes)) this.#publish();
    this.#slot ??= this.#next();
    return this.#slot.subarray(this.#fill);
  }

  advance(bytes: number): void {
    this.#fill += bytes;
    if (this.#fill === slotBytes) this.#publish();
  }

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.byteLength; ) {
      const room = this.room();
      const part = bytes.subarray(done, done + room.byteLength);
      room.set(part);
      this.advance(part.byteLength);
      done += part.byteLength;
    }
  }

  end(): void {
    if (this.#fill > 0) this.#publish();
    this.settle(stages.ended);
  }

  /** @throws Error when nobody reads on */
  #next(): Buffer {
    while (true) {
      const turn = Atomics.load(this.cells, cells.turn);
      if (Atomics.load(this.cells, cells.stage) !== stages.open) throw new Error('nobody reads on');
      const filled = Atomics.load(this.cells, cells.filled);
      if (filled - Atomics.load(this.cells, cells.taken) < slotCount) return this.slot(filled, slotBytes);
      Atomics.wait(this.cells, cells.turn, turn);
    }
  }

  #publish(): void {
    const filled = Atomics.load(this.cells, cells.filled);
    Atomics.store(this.cells, cells.lengths + (filled % slotCount), this.#fill);
    Atomics.store(this.cells, cells.filled, filled + 1);
    this.#slot = undefined;
    this.#fill = 0;
    this.tell();
  }
}

/** The end that takes, where nothing may block. */
export class RingReader extends Ring {
  constructor() {
    super(new SharedArrayBuffer(headBytes + slotCount * slotBytes));
  }

  /** Until the writer ends or somebody closes it. Leaving early makes the writer's next write throw. With `lend`, a chunk holds until the next is asked for. */
  async *bytes({ lend = false }: { lend?: boolean | undefined } = {}): AsyncGenerator<Uint8Array> {
    try {
      while (true) {
        const turn = Atomics.load(this.cells, cells.turn);
        const stage = Atomics.load(this.cells, cells.stage);
        const taken = Atomics.load(this.cells, cells.taken);
        if (taken < Atomics.load(this.cells, cells.filled)) {
          const chunk = this.#chunk(taken);
          const kept = lend ? undefined : Buffer.from(chunk);
          if (!kept) yield chunk;
          this.#giveBack(taken);
          if (kept) yield kept;
        } else if (stage !== stages.open) return;
        else await Atomics.waitAsync(this.cells, cells.turn, turn).value;
      }
    } finally {
      this.settle(stages.abandoned);
    }
  }

  #chunk(taken: number): Buffer {
    return this.slot(taken, Atomics.load(this.cells, cells.lengths + (taken % slotCount)));
  }

  /** The writer may fill it again. */
  #giveBack(taken: number): void {
    Atomics.store(this.cells, cells.taken, taken + 1);
    this.tell();
  }

  /** No writer will end it any more. */
  close(): void {
    this.settle(stages.abandoned);
  }
}
