import { createHmac, randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { workerEntry } from '#concurrency';
import { EngineError } from '#errdefs';
import type { Question } from './bcrypt.worker.ts';

/** Clients that use no tokens send their password with each request. */
const rememberedMs = 5 * 60_000;
const maxRemembered = 10_000;
/** Guessing passwords may not keep others waiting for long. */
const maxWaiting = 200;

/** Compares passwords in a thread of its own and remembers for a while, as keyed digests, which were right. */
export class PasswordCheck implements AsyncDisposable {
  readonly #waiting = new Map<number, (isRight: boolean) => void>();
  readonly #right = new Map<string, number>();
  readonly #key = randomBytes(32);
  #worker: Worker | undefined;
  #nextID = 1;

  /** @throws `unavailable` when too many wait. */
  async isRight(password: string, hash: string): Promise<boolean> {
    const remembered = createHmac('sha256', this.#key).update(`${hash}\0${password}`).digest('base64');
    if ((this.#right.get(remembered) ?? 0) > Date.now()) return true;
    if (this.#waiting.size >= maxWaiting) throw new EngineError('unavailable', 'check password: too many are waiting');
    const isRight = await this.#ask(password, hash);
    if (isRight) {
      if (this.#right.size >= maxRemembered) this.#right.clear();
      this.#right.set(remembered, Date.now() + rememberedMs);
    }
    return isRight;
  }

  #ask(password: string, hash: string): Promise<boolean> {
    const worker = (this.#worker ??= this.#start());
    const question: Question = { id: this.#nextID++, password, hash };
    return new Promise((resolve) => {
      this.#waiting.set(question.id, resolve);
      worker.postMessage(question);
    });
  }

  #start(): Worker {
    const worker = new Worker(workerEntry(import.meta.url, './bcrypt.worker.ts'));
    worker.unref();
    worker.on('message', ({ id, isRight }: { id: number; isRight: boolean }) => {
      this.#waiting.get(id)?.(isRight);
      this.#waiting.delete(id);
    });
    worker.on('exit', () => {
      this.#worker = undefined;
      for (const answer of this.#waiting.values()) answer(false);
      this.#waiting.clear();
    });
    return worker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate();
  }
}
