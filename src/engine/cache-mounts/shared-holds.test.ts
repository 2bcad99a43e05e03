import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { SharedHolds } from './shared-holds.ts';

const { signal } = new AbortController();

test('many hold a name together, one holds it alone', async () => {
  const holds = new SharedHolds();
  const [one, two] = [await holds.hold('a', 'together', signal), await holds.hold('a', 'together', signal)];
  assert.equal(holds.tryHold('a', 'alone'), undefined);
  let isAlone = false;
  const alone = holds.hold('a', 'alone', signal).then((hold) => {
    isAlone = true;
    return hold;
  });
  one[Symbol.dispose]();
  one[Symbol.dispose]();
  await setImmediate();
  assert.equal(isAlone, false, 'a second release counts for nothing');
  two[Symbol.dispose]();
  const hold = await alone;
  assert.equal(holds.tryHold('a', 'together'), undefined);
  assert.ok(holds.tryHold('b', 'together'));
  hold[Symbol.dispose]();
  assert.equal(holds.isHeld('a'), false);
});

test('who waits can give up', async () => {
  const holds = new SharedHolds();
  using _held = await holds.hold('a', 'alone', signal);
  const leaving = new AbortController();
  const waiting = holds.hold('a', 'together', leaving.signal);
  leaving.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
});
