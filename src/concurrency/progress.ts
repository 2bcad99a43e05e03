/** How it stands with something that is written. */
export const stages = { growing: 0, whole: 1, abandoned: 2 } as const;

const wordBytes = 8;

/** How far a writer is, in memory that both threads see: bytes, stage, and a count of the times it was told, which the reader waits on. */
export class Progress {
  readonly memory: SharedArrayBuffer;
  readonly #bytes: BigInt64Array<SharedArrayBuffer>;
  readonly #stage: Int32Array<SharedArrayBuffer>;
  readonly #turn: Int32Array<SharedArrayBuffer>;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(3 * wordBytes)) {
    this.memory = memory;
    this.#bytes = new BigInt64Array(memory, 0, 1);
    this.#stage = new Int32Array(memory, wordBytes, 1);
    this.#turn = new Int32Array(memory, 2 * wordBytes, 1);
  }

  tell(writtenBytes: number, stage: number): void {
    Atomics.store(this.#bytes, 0, BigInt(writtenBytes));
    Atomics.store(this.#stage, 0, stage);
    Atomics.add(this.#turn, 0, 1);
    Atomics.notify(this.#turn, 0);
  }

  /** Blocks until there is more than `hashedBytes`, or nothing more will come. */
  beyond(hashedBytes: number): { writtenBytes: number; stage: number } {
    while (true) {
      const turn = Atomics.load(this.#turn, 0);
      const stage = Atomics.load(this.#stage, 0);
      const writtenBytes = Number(Atomics.load(this.#bytes, 0));
      if (writtenBytes > hashedBytes || stage !== stages.growing) return { writtenBytes, stage };
      Atomics.wait(this.#turn, 0, turn);
    }
  }
}
