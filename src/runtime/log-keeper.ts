import { statSync } from 'node:fs';
import { log } from '#log';
import { ensureWritten, rotateLog } from './log-files.ts';
import type { LogLimits } from './types.ts';

const firstLookMs = 100;
const minLookMs = 20;
const maxLookMs = 2_000;

/**
 * Keeps one container's log within its limits while it runs. conmon has a limit of its own, but forgets the old file there. Looks at
 * the size as often as the growth asks for, so a file may outgrow its limit by what a burst writes between two looks.
 */
export class LogKeeper implements Disposable {
  readonly #limits: LogLimits;
  readonly #reopen: () => boolean;
  #timer: NodeJS.Timeout | undefined;
  #last: { sizeBytes: number; timeMs: number };
  #isEnded = false;

  constructor(limits: LogLimits, reopen: () => boolean) {
    this.#limits = inParts(limits);
    this.#reopen = reopen;
    this.#last = { sizeBytes: this.#size() ?? 0, timeMs: Date.now() };
    this.#lookIn(firstLookMs);
  }

  #size(): number | undefined {
    return statSync(this.#limits.path, { throwIfNoEntry: false })?.size;
  }

  #lookIn(delayMs: number): void {
    if (this.#isEnded) return;
    this.#timer = setTimeout(() => {
      this.#look().catch((error: unknown) => {
        log.warn('a log could not be rotated', { path: this.#limits.path, error });
        this.#lookIn(maxLookMs);
      });
    }, delayMs).unref();
  }

  async #look(): Promise<void> {
    const { path, maxBytes, maxFiles } = this.#limits;
    const found = this.#size();
    if (found === undefined) await ensureWritten(path, this.#reopen);
    const sizeBytes = found ?? 0;
    const now = { sizeBytes, timeMs: Date.now() };
    if (sizeBytes >= maxBytes) {
      await rotateLog(path, maxFiles, this.#reopen);
      this.#last = { sizeBytes: 0, timeMs: now.timeMs };
      return this.#lookIn(minLookMs);
    }
    const perMs = Math.max(0, sizeBytes - this.#last.sizeBytes) / Math.max(1, now.timeMs - this.#last.timeMs);
    this.#last = now;
    const untilFullMs = perMs === 0 ? maxLookMs : (maxBytes - sizeBytes) / perMs;
    this.#lookIn(Math.min(Math.max(untilFullMs / 2, minLookMs), maxLookMs));
  }

  [Symbol.dispose](): void {
    this.#isEnded = true;
    clearTimeout(this.#timer);
  }
}

/** One file alone would have nothing to read after each rotation: it is kept as two halves. */
function inParts({ path, maxBytes, maxFiles }: LogLimits): LogLimits {
  return maxFiles > 1 ? { path, maxBytes, maxFiles } : { path, maxBytes: maxBytes / 2, maxFiles: 2 };
}
