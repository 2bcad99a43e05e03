import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spaceBound } from './cache-space.ts';

const bound = (space: Parameters<typeof spaceBound>[0], freeBytes = 1000) => spaceBound(space, 100, () => freeBytes);

test('without a bound a prune takes all', () => {
  assert.equal(bound({}), undefined);
  assert.equal(bound({ maxUsedSpaceBytes: 0, reservedSpaceBytes: 0 }), undefined);
});

test('down to what may be used, never below what is reserved', () => {
  assert.equal(bound({ maxUsedSpaceBytes: 60 }), 60);
  assert.equal(bound({ reservedSpaceBytes: 30 }), 30);
  assert.equal(bound({ maxUsedSpaceBytes: 20, reservedSpaceBytes: 30 }), 30);
});

test('as far as the disk needs it', () => {
  assert.equal(bound({ minFreeSpaceBytes: 500 }, 1000), 100, 'there is room: all stays');
  assert.equal(bound({ minFreeSpaceBytes: 1010 }, 1000), 90);
  assert.equal(bound({ minFreeSpaceBytes: 5000 }, 1000), 0);
  assert.equal(bound({ minFreeSpaceBytes: 5000, reservedSpaceBytes: 40 }, 1000), 40);
  assert.equal(bound({ minFreeSpaceBytes: 1010, maxUsedSpaceBytes: 50 }, 1000), 50);
});
