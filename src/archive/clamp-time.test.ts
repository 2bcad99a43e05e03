import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clampTime } from './clamp-time.ts';

const time = (sec: number) => ({ sec, nsec: 5 });

test('times after a moment become it, those before stay', () => {
  assert.deepEqual(clampTime(time(9), { atSec: 10 }), time(9));
  assert.deepEqual(clampTime(time(10), { atSec: 10 }), { sec: 10, nsec: 0 });
  assert.deepEqual(clampTime(time(11), { atSec: 10 }), { sec: 10, nsec: 0 });
  assert.deepEqual(clampTime(time(11), undefined), time(11));
});

test('what is written before the moment has come gets it too', () => {
  const clamp = { atSec: 100, fromSec: 50 };
  assert.deepEqual(
    [49, 50, 99, 101].map((sec) => clampTime(time(sec), clamp).sec),
    [49, 100, 100, 100],
  );
  assert.equal(clampTime(time(60), { atSec: 10, fromSec: 50 }).sec, 10);
});
