import { EngineError } from '#errdefs';

/** An abort that crosses threads: work in a worker asks it between two files. */
export class AbortFlag {
  readonly #cell: Int32Array<SharedArrayBuffer>;

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.#cell = new Int32Array(shared);
  }

  /** What a worker makes its own flag of. */
  get shared(): SharedArrayBuffer {
    return this.#cell.buffer;
  }

  abort(): void {
    Atomics.store(this.#cell, 0, 1);
  }

  /** @throws `canceled` once aborted. */
  check(): void {
    if (Atomics.load(this.#cell, 0) !== 0) throw new EngineError('canceled', 'snapshot work was canceled');
  }
}
