import { EngineError } from '#errdefs';

/** Where files are in the file that all of them go into, one behind the other, also for who asks before they have come. */
export class Places {
  readonly #offsets = new Map<number, number>();
  /** On their way; with where they are once they begin, and a promise of it where somebody waits. */
  readonly #awaited = new Map<number, number | PromiseWithResolvers<number> | undefined>();
  #writtenBytes = 0;
  #growth: PromiseWithResolvers<void> | undefined;

  /** Of one that can be read whole. */
  of(line: number): number | undefined {
    return this.#offsets.get(line);
  }

  isAwaited(line: number): boolean {
    return this.#awaited.has(line);
  }

  /** These will come, or be given up. */
  expect(lines: readonly number[]): void {
    for (const line of lines) if (!this.#awaited.has(line)) this.#awaited.set(line, undefined);
  }

  /** Where one on its way is, as soon as there is something of it. @throws why it was given up */
  async begun(line: number): Promise<number> {
    const known = this.#offsets.get(line) ?? this.#awaited.get(line);
    if (typeof known === 'number') return known;
    this.#requireComing(line);
    const waiting = known ?? waiter<number>();
    this.#awaited.set(line, waiting);
    return await waiting.promise;
  }

  /** So far all of them go, as soon as that is beyond `offset`, where there is a part of one. @throws why that one was given up */
  async beyond(line: number, offset: number): Promise<number> {
    this.#requireComing(line);
    while (this.#writtenBytes <= offset) {
      this.#growth ??= waiter();
      await this.#growth.promise;
      this.#requireComing(line);
    }
    return this.#writtenBytes;
  }

  /** Nothing will tell of one that was given up before somebody asked. */
  #requireComing(line: number): void {
    if (this.#offsets.has(line) || this.#awaited.has(line)) return;
    throw new EngineError('unavailable', `build context: file ${line} was given up`);
  }

  /** Something of it can be read from there. */
  begin(line: number, offset: number): void {
    const waiting = this.#awaited.get(line);
    if (typeof waiting === 'object') waiting.resolve(offset);
    this.#awaited.set(line, offset);
  }

  /** All of it can. */
  put(line: number, offset: number): void {
    this.#offsets.set(line, offset);
    this.#awaited.delete(line);
  }

  grow(writtenBytes: number): void {
    this.#writtenBytes = writtenBytes;
    this.#growth?.resolve();
    this.#growth = undefined;
  }

  /** They have not come, or not as they should: none of them is here. */
  giveUp(lines: readonly number[], reason: unknown): void {
    for (const line of lines) {
      this.#offsets.delete(line);
      const waiting = this.#awaited.get(line);
      if (typeof waiting === 'object') waiting.reject(reason);
      this.#awaited.delete(line);
    }
    this.#growth?.reject(reason);
    this.#growth = undefined;
  }
}

function waiter<T>(): PromiseWithResolvers<T> {
  const waiting = Promise.withResolvers<T>();
  // Who waits may have gone.
  waiting.promise.catch(() => {});
  return waiting;
}
