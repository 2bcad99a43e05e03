/** How it stands with something that is written. */
export const stages = { growing: 0, whole: 1, abandoned: 2 } as const;

const wordBytes = 8;

/** Wakes a thread that waits for others, which ring when they have something new for it. */
export class Bell {
  readonly memory: SharedArrayBuffer;
  readonly #turns: Int32Array<SharedArrayBuffer>;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(wordBytes), offset = 0) {
    this.memory = memory;
    this.#turns = new Int32Array(memory, offset, 1);
  }

  /** Times that it was rung: read it before looking for what is new. */
  get turn(): number {
    return Atomics.load(this.#turns, 0);
  }

  ring(): void {
    Atomics.add(this.#turns, 0, 1);
    Atomics.notify(this.#turns, 0);
  }

  /** Blocks until it has been rung after `turn`. */
  wait(turn: number): void {
    Atomics.wait(this.#turns, 0, turn);
  }
}

/** How far a writer is, in memory that both threads see. Its own bell rings for who waits for it alone; who waits for several gives all the same. */
export class Progress {
  readonly memory: SharedArrayBuffer;
  readonly #bytes: BigInt64Array<SharedArrayBuffer>;
  readonly #stage: Int32Array<SharedArrayBuffer>;
  readonly #bell: Bell;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(3 * wordBytes), bell?: Bell) {
    this.memory = memory;
    this.#bytes = new BigInt64Array(memory, 0, 1);
    this.#stage = new Int32Array(memory, wordBytes, 1);
    this.#bell = bell ?? new Bell(memory, 2 * wordBytes);
  }

  tell(writtenBytes: number, stage: number): void {
    Atomics.store(this.#bytes, 0, BigInt(writtenBytes));
    Atomics.store(this.#stage, 0, stage);
    this.#bell.ring();
  }

  read(): { writtenBytes: number; stage: number } {
    // The stage first: what is whole grows no more.
    const stage = Atomics.load(this.#stage, 0);
    return { writtenBytes: Number(Atomics.load(this.#bytes, 0)), stage };
  }

  /** Blocks until there is more than `hashedBytes`, or nothing more will come. */
  beyond(hashedBytes: number): { writtenBytes: number; stage: number } {
    while (true) {
      const { turn } = this.#bell;
      const { writtenBytes, stage } = this.read();
      if (writtenBytes > hashedBytes || stage !== stages.growing) return { writtenBytes, stage };
      this.#bell.wait(turn);
    }
  }
}
