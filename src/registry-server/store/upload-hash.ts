import { createHash, type Hash } from 'node:crypto';
import type { DigestAlgorithm } from '#oci';
import type { HashThread, HashThreads } from './hash-threads.ts';

/** Smaller blobs are hashed sooner than a thread is told of them. */
const inlineBytes = 4 << 20;
/** Bytes that may wait for the thread: the sender is kept back beyond. */
const maxWaitingBytes = 8 << 20;

/** The hash of an upload: a large one's in a thread, beside receiving and writing. */
export class UploadHash implements Disposable {
  readonly #algorithm: DigestAlgorithm;
  readonly #threads: HashThreads;
  /** The first bytes, until it is known whether there are many. */
  #first: Uint8Array[] = [];
  #firstBytes = 0;
  #inline: Hash | undefined;
  #thread: HashThread | undefined;
  #waitingBytes = 0;
  #lastUpdate: Promise<void> = Promise.resolve();

  constructor(algorithm: DigestAlgorithm, threads: HashThreads) {
    this.#algorithm = algorithm;
    this.#threads = threads;
  }

  /** Takes bytes that must not change afterwards, in memory that threads share; answers when there is room for more. */
  async update(bytes: Uint8Array): Promise<void> {
    if (this.#thread) return await this.#hand(bytes);
    if (this.#inline) {
      this.#inline.update(bytes);
      return;
    }
    this.#first.push(bytes);
    this.#firstBytes += bytes.byteLength;
    if (this.#firstBytes > inlineBytes) await this.#settle(this.#threads.take(this.#algorithm));
  }

  /** The digest so far, in hex. */
  async digest(): Promise<string> {
    if (!this.#thread && !this.#inline) await this.#settle(undefined);
    return this.#thread ? await this.#thread.digest() : this.#inline!.copy().digest('hex');
  }

  [Symbol.dispose](): void {
    if (this.#thread) this.#threads.giveBack(this.#thread);
    this.#thread = undefined;
    this.#first = [];
  }

  /** Where the bytes are hashed from here on. */
  async #settle(thread: HashThread | undefined): Promise<void> {
    const first = this.#first;
    this.#first = [];
    this.#thread = thread;
    if (!thread) this.#inline = createHash(this.#algorithm);
    for (const bytes of first) {
      if (thread) await this.#hand(bytes);
      else this.#inline!.update(bytes);
    }
  }

  async #hand(bytes: Uint8Array): Promise<void> {
    this.#waitingBytes += bytes.byteLength;
    this.#lastUpdate = this.#thread!.update(bytes).then(() => {
      this.#waitingBytes -= bytes.byteLength;
    });
    this.#lastUpdate.catch(() => {});
    if (this.#waitingBytes > maxWaitingBytes) await this.#lastUpdate;
  }
}
