import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Places } from './places.ts';

const outcome = (promise: Promise<number>) =>
  Promise.race([promise.catch((error: Error) => error.message), wait(2000, 'waits', { ref: false })]);

test('who reads a file that was given up meanwhile waits for no more of it', async () => {
  const places = new Places();
  places.expect([7, 8]);
  places.grow(20);
  places.begin(7, 10);
  assert.equal(await places.begun(7), 10);
  assert.equal(await places.beyond(7, 10), 20);
  const waiting = places.beyond(7, 20);
  places.giveUp([7], new Error('it broke off'));
  assert.equal(await outcome(waiting), 'it broke off');
  assert.match(String(await outcome(places.beyond(7, 20))), /was given up$/, 'asked for later');
  assert.match(String(await outcome(places.begun(7))), /was given up$/);
  places.begin(8, 20);
  places.grow(30);
  assert.match(String(await outcome(places.beyond(7, 20))), /was given up$/, 'what stands there now is another');
  assert.equal(await places.beyond(8, 20), 30);
});

test('a file that is whole is beyond its end', async () => {
  const places = new Places();
  places.expect([1]);
  const begun = places.begun(1);
  places.grow(5);
  places.begin(1, 0);
  places.put(1, 0);
  assert.equal(await begun, 0);
  assert.equal(await places.beyond(1, 4), 5);
  assert.equal(places.isAwaited(1), false);
});
