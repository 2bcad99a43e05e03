import { EngineError } from '#errdefs';
import type { Compression } from './compressed-layer.ts';

const highest: Readonly<Record<Compression['format'], number>> = { gzip: 9, zstd: 19 };

/** `gzip`, `zstd`, or one of them with a level: `zstd:10`. @throws `invalid-argument`. */
export function parseCompression(text: string): Compression {
  const [, format, level] = /^(gzip|zstd)(?::(\d{1,2}))?$/.exec(text) ?? [];
  if (format !== 'gzip' && format !== 'zstd') {
    throw new EngineError(
      'invalid-argument',
      `invalid compression ${JSON.stringify(text)}: want gzip or zstd, and perhaps a level: zstd:10`,
    );
  }
  if (level === undefined) return { format };
  if (Number(level) < 1 || Number(level) > highest[format]) {
    throw new EngineError(
      'invalid-argument',
      `invalid compression ${JSON.stringify(text)}: levels of ${format} are 1 to ${highest[format]}`,
    );
  }
  return { format, level: Number(level) };
}
