import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collectWhenIdle } from './idle-memory.ts';

test('one collection follows each stretch of work, and none comes while work goes on', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let used = 300;
  let collections = 0;
  using _idle = collectWhenIdle({ usedMs: () => used, collect: () => void collections++ });

  used += 400;
  t.mock.timers.tick(250);
  assert.equal(collections, 0, 'still starting');
  t.mock.timers.tick(250);
  assert.equal(collections, 1, 'a moment of rest after the start');
  t.mock.timers.tick(120_000);
  assert.equal(collections, 1, 'nothing was done since');

  used += 50;
  t.mock.timers.tick(30_000);
  assert.equal(collections, 1, 'too little to be worth it');

  for (let quarter = 0; quarter < 240; quarter++) {
    used += 200;
    t.mock.timers.tick(250);
  }
  assert.equal(collections, 1, 'a build runs');
  t.mock.timers.tick(1000);
  assert.equal(collections, 2, 'it has ended');
});

test('nothing is collected while a build waits for what a step runs, but when it has ended', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let isBusy = true;
  let collections = 0;
  using _idle = collectWhenIdle({ usedMs: () => 300, isBusy: () => isBusy, collect: () => void collections++ });
  t.mock.timers.tick(60_000);
  assert.equal(collections, 0, 'a command of a build runs');
  isBusy = false;
  t.mock.timers.tick(1000);
  assert.equal(collections, 1, 'it has ended');
});

test('nothing is collected after disposal', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let collections = 0;
  const idle = collectWhenIdle({ usedMs: () => 0, collect: () => void collections++ });
  idle[Symbol.dispose]();
  t.mock.timers.tick(120_000);
  assert.equal(collections, 0);
});

test('V8 collects: what nobody holds any more is gone', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let dropped: object | undefined = { large: new Array(1000).fill(0) };
  const weak = new WeakRef(dropped);
  dropped = undefined;
  await Promise.resolve();
  using _idle = collectWhenIdle({ usedMs: () => 0 });
  await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(1000);
  assert.equal(weak.deref(), undefined);
});

test('what was freed between what is in use goes back to the kernel', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const sizeBytes = 64 << 10;
  let all = Array.from({ length: 2000 }, () => Buffer.alloc(sizeBytes, 1));
  const kept = all.filter((_, at) => at % 20 === 0);
  all = [];
  await new Promise((resolve) => setImmediate(resolve));
  const before = process.memoryUsage.rss();
  using _idle = collectWhenIdle({ usedMs: () => 0 });
  t.mock.timers.tick(1000);
  const freed = before - process.memoryUsage.rss();
  assert.ok(freed > 1000 * sizeBytes, `${freed} bytes of ${1900 * sizeBytes}`);
  assert.equal(kept.length, 100);
});
