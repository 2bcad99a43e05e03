import type { Digest } from '#oci';
import type { ByteSource } from '#streams';
import type { OnProgress } from './types.ts';

const barWidth = 50;
/** A bar is redrawn at most this often. */
const intervalMs = 100;
const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'] as const;

/** Four significant digits, powers of 1000: `36.45kB`, as Docker's clients show sizes. */
export function humanSize(sizeBytes: number): string {
  let value = sizeBytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(4))}${units[unit]}`;
}

/** The bar that clients which draw none themselves print. */
export function progressBar(current: number, total: number): string {
  const shown = humanSize(current).padStart(8);
  if (total <= 0) return shown;
  const filled = Math.min(barWidth, Math.floor((current * 100) / total / 2));
  const bar = `[${'='.repeat(filled)}>${' '.repeat(barWidth - filled)}] `;
  return current > total ? bar + shown : `${bar}${shown}/${humanSize(total)}`;
}

/** How a layer is named on the wire: the first twelve hexadecimal digits. */
export function shortID(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12);
}

/** One line of a progress display. */
export interface ProgressLine {
  /** A new state. What bytes were reported before no longer matters. */
  status(text: string): void;
  /** Bytes so far in this state, told at most ten times a second; the first and the last always. */
  bytes(text: string, current: number, total: number): void;
}

export function progressLine(onProgress: OnProgress, id: string): ProgressLine {
  let nextMs = 0;
  let lastText = '';
  return {
    status(text) {
      lastText = text;
      nextMs = 0;
      onProgress({ status: text, progressDetail: {}, id });
    },
    bytes(text, current, total) {
      const nowMs = performance.now();
      const isLast = current === total;
      if (text === lastText && nowMs < nextMs && !isLast) return;
      lastText = text;
      nextMs = nowMs + intervalMs;
      const progressDetail = { current, ...(total > 0 ? { total } : {}) };
      onProgress({ status: text, progressDetail, progress: progressBar(current, total), id });
    },
  };
}

/** A body as it is, told of by lines without an ID: at most ten times a second, and at its end. `total` is 0 where nobody knows it. */
export async function* reportedBody(
  body: ByteSource,
  { status, total, onProgress }: { status: string; total: number; onProgress: OnProgress },
): AsyncGenerator<Uint8Array> {
  let current = 0;
  let nextMs = performance.now() + intervalMs;
  const tell = () => {
    const progressDetail = { current, ...(total > 0 ? { total } : {}) };
    onProgress({ status, progressDetail, progress: progressBar(current, total) });
  };
  for await (const chunk of body) {
    yield chunk;
    current += chunk.length;
    if (performance.now() < nextMs) continue;
    nextMs = performance.now() + intervalMs;
    if (current !== total) tell();
  }
  tell();
}
