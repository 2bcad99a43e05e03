import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aheadBytes, withRoomAhead } from './room-ahead.ts';

test('room is asked for before the first byte and before every megabyte, and the bytes stay as they are', async () => {
  const seen: string[] = [];
  const trash = {
    keepFree: async (wantedBytes: number) => {
      seen.push(`room ${wantedBytes - aheadBytes}`);
    },
  };
  async function* source() {
    for (const size of [10, 700_000, 700_000, 20]) yield new Uint8Array(size);
  }
  for await (const chunk of withRoomAhead(trash, source())) seen.push(`chunk ${chunk.length}`);
  assert.deepEqual(seen, ['room 10', 'chunk 10', 'chunk 700000', 'chunk 700000', 'room 20', 'chunk 20']);
});
