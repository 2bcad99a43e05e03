/** Where files are in the file that all of them go into, also for who asks before they have come. */
export class Places {
  readonly #offsets = new Map<number, number>();
  /** On their way; with a promise where somebody waits. */
  readonly #awaited = new Map<number, PromiseWithResolvers<number> | undefined>();

  has(line: number): boolean {
    return this.#offsets.has(line);
  }

  /** A promise for what is on its way; undefined for what nobody has asked for. */
  of(line: number): number | Promise<number> | undefined {
    const offset = this.#offsets.get(line);
    if (offset !== undefined || !this.#awaited.has(line)) return offset;
    let waiting = this.#awaited.get(line);
    if (!waiting) {
      waiting = Promise.withResolvers();
      // Who waits may have gone.
      waiting.promise.catch(() => {});
      this.#awaited.set(line, waiting);
    }
    return waiting.promise;
  }

  /** These will come, or be given up. */
  expect(lines: readonly number[]): void {
    for (const line of lines) if (!this.#awaited.has(line)) this.#awaited.set(line, undefined);
  }

  /** All of it can be read from there. */
  put(line: number, offset: number): void {
    this.#offsets.set(line, offset);
    this.#awaited.get(line)?.resolve(offset);
    this.#awaited.delete(line);
  }

  /** They have not come, or not as they should: none of them is here. */
  giveUp(lines: readonly number[], reason: unknown): void {
    for (const line of lines) {
      this.#offsets.delete(line);
      this.#awaited.get(line)?.reject(reason);
      this.#awaited.delete(line);
    }
  }
}
