export type SharedHold = Disposable;

/** `together` with others who hold it so; `alone` without any. */
export type HoldMode = 'together' | 'alone';

/** Names held by one, or by many at once. Who waits is woken by every release, in no order. */
export class SharedHolds {
  /** How many hold a name together; -1 is one alone. */
  readonly #held = new Map<string, number>();
  #released = Promise.withResolvers<void>();

  isHeld(name: string): boolean {
    return this.#held.has(name);
  }

  /** Undefined when it cannot be had at once. */
  tryHold(name: string, mode: HoldMode): SharedHold | undefined {
    const held = this.#held.get(name) ?? 0;
    if (held < 0 || (mode === 'alone' && held > 0)) return undefined;
    this.#held.set(name, mode === 'alone' ? -1 : held + 1);
    let isOver = false;
    return {
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
        this.#release(name);
      },
    };
  }

  async hold(name: string, mode: HoldMode, signal: AbortSignal): Promise<SharedHold> {
    const aborted = Promise.withResolvers<void>();
    const wake = () => aborted.resolve();
    signal.addEventListener('abort', wake, { once: true });
    try {
      while (true) {
        signal.throwIfAborted();
        const hold = this.tryHold(name, mode);
        if (hold) return hold;
        await Promise.race([this.#released.promise, aborted.promise]);
      }
    } finally {
      signal.removeEventListener('abort', wake);
    }
  }

  #release(name: string): void {
    const held = this.#held.get(name)!;
    if (held > 1) this.#held.set(name, held - 1);
    else this.#held.delete(name);
    const released = this.#released;
    this.#released = Promise.withResolvers<void>();
    released.resolve();
  }
}
