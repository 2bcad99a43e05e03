/** More are forgotten, the oldest first. */
const maxAnswers = 2000;

interface Asked<T> {
  readonly answer: Promise<T>;
  readonly askedMs: number;
}

/** Answers that are believed for a while. Who asks while an answer is on its way gets that one; a failure is nobody's answer. */
export class AskedBefore<T> {
  readonly #asked = new Map<string, Asked<T>>();

  get(key: string, believedMs: number, ask: () => Promise<T>): Promise<T> {
    const nowMs = performance.now();
    const known = this.#asked.get(key);
    if (known && known.askedMs + believedMs > nowMs) return known.answer;
    const answer = ask();
    this.#asked.delete(key);
    this.#asked.set(key, { answer, askedMs: nowMs });
    answer.catch(() => this.#forget(key, answer));
    for (const oldest of this.#asked.keys()) {
      if (this.#asked.size <= maxAnswers) break;
      this.#asked.delete(oldest);
    }
    return answer;
  }

  #forget(key: string, answer: Promise<T>): void {
    if (this.#asked.get(key)?.answer === answer) this.#asked.delete(key);
  }
}
