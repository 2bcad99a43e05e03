import { delay } from '#concurrency';
import { log } from '#log';
import type { Metadata } from '#metadata';
import type { Digest } from '#oci';

/** Slow enough to be noticed by nobody. */
const bytesPerSecond = 20 << 20;
/** Between two looks at whether it is time; a short interval is looked at more often. */
const lookMs = 60_000;
/** How far back a crash throws it. */
const bytesBetweenNotes = 256 << 20;
const setting = 'scrub';

export interface ScrubOptions {
  /** Every blob is read once in so much time; zero: never. A week unless told otherwise. */
  readonly intervalMs?: number;
}

interface Progress {
  /** The last blob that was read; empty between two rounds. */
  readonly after: string;
  /** When the last round ended. */
  readonly finishedMs: number;
}

/** Reads every blob once a week, slowly and in the background, and tells of those that are damaged. Goes on where an earlier process ended. */
export class Scrubber implements AsyncDisposable {
  readonly #metadata: Metadata;
  readonly #intervalMs: number;
  readonly #onDamage: () => Promise<void>;
  readonly #ended = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #isRunning = false;

  /** `onDamage` is called when something was found. */
  constructor(metadata: Metadata, { intervalMs = 7 * 24 * 3_600_000 }: ScrubOptions, onDamage: () => Promise<void>) {
    this.#metadata = metadata;
    this.#intervalMs = intervalMs;
    this.#onDamage = onDamage;
    if (intervalMs > 0) this.#timer = setInterval(() => this.#look(), Math.min(lookMs, intervalMs)).unref();
  }

  #look(): void {
    if (this.#isRunning || this.#ended.signal.aborted) return;
    this.#isRunning = true;
    this.#running = this.#roundIfDue()
      .catch((error: unknown) => {
        if (!this.#ended.signal.aborted) log.warn('scrub: ended early', { error });
      })
      .finally(() => {
        this.#isRunning = false;
      });
  }

  async #roundIfDue(): Promise<void> {
    const progress = this.#read();
    // A new store has nothing old in it.
    if (!progress) return await this.#note({ after: '', finishedMs: Date.now() });
    if (progress.after === '' && Date.now() - progress.finishedMs < this.#intervalMs) return;
    await this.#round(progress);
    await this.#note({ after: '', finishedMs: Date.now() });
  }

  async #round(from: Progress): Promise<void> {
    const { signal } = this.#ended;
    let unnotedBytes = 0;
    const onRead = async (digest: Digest, sizeBytes: number) => {
      unnotedBytes += sizeBytes;
      if (unnotedBytes >= bytesBetweenNotes) {
        unnotedBytes = 0;
        await this.#note({ ...from, after: digest });
      }
      await delay((sizeBytes / bytesPerSecond) * 1000, { signal });
    };
    const after = from.after === '' ? {} : { after: from.after as Digest };
    for await (const { digest, fault, harm } of this.#metadata.damagedBlobs({ ...after, signal, onRead })) {
      log.error('scrub: a blob is damaged; `wherryd verify --repair` brings back what it can', {
        digest,
        fault,
        hurts: harm.join(', '),
      });
      await this.#onDamage();
    }
  }

  #read(): Progress | undefined {
    const text = this.#metadata.setting(setting);
    return text === undefined ? undefined : (JSON.parse(text) as Progress);
  }

  async #note(progress: Progress): Promise<void> {
    await this.#metadata.setSetting(setting, JSON.stringify(progress));
  }

  /** Waits until it has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#ended.abort();
    await this.#running;
  }
}
