import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeldBytes } from './held-bytes.ts';

test('what is kept stays as it was, of any length, while other bytes come and go', () => {
  const held = new HeldBytes();
  const lengths = [0, 1, 4096, 4097, 20_000, 32 << 10, (32 << 10) + 1, 100_000];
  let kept: { bytes: Buffer; mark: number }[] = [];
  for (let round = 0; round < 50; round++) {
    for (const [at, length] of lengths.entries()) {
      const mark = (round * lengths.length + at) % 251;
      const bytes = Buffer.alloc(length, mark);
      kept.push({ bytes: held.keep(bytes), mark });
      bytes.fill(255);
    }
    for (const { bytes, mark } of kept)
      assert.ok(
        bytes.every((byte) => byte === mark),
        `${bytes.length} bytes`,
      );
    const gone = kept.filter((_, at) => at % 3 !== round % 3);
    kept = kept.filter((_, at) => at % 3 === round % 3);
    held.release(gone.map(({ bytes }) => bytes));
  }
});
