import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cacheRules } from './cache-rules.ts';

test('the standard rules go by the disk: small ones leave a share, large ones so many gigabytes', () => {
  const small = cacheRules({}, 50e9);
  assert.equal(small.length, 4);
  assert.deepEqual(small[2], { reservedSpaceBytes: 5e9, maxUsedSpaceBytes: 40e9, minFreeSpaceBytes: 10e9 });
  assert.deepEqual(small[3], { all: true, ...small[2] });
  const large = cacheRules({}, 1e12);
  assert.deepEqual(large[2], { reservedSpaceBytes: 10e9, maxUsedSpaceBytes: 100e9, minFreeSpaceBytes: 200e9 });
  assert.deepEqual(large[0], {
    filters: { type: ['exec.cachemount'], 'unused-for': ['48h'] },
    maxUsedSpaceBytes: 512e6,
  });
});

test('bounds and rules of one’s own take their place', () => {
  assert.deepEqual(cacheRules({ space: { reservedSpaceBytes: 5 } }, 1e12)[1], {
    filters: { 'unused-for': ['1440h'] },
    reservedSpaceBytes: 5,
  });
  assert.deepEqual(cacheRules({ rules: [] }, 1e12), []);
  assert.throws(() => cacheRules({ rules: [{ filters: { colour: ['red'] } }] }, 1e12), /invalid filter 'colour'/);
});
