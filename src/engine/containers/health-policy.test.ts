import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterProbe, checkHealthcheck, healthPlan, mergeHealthcheck, nextProbeMs } from './health-policy.ts';
import type { StoredHealth } from './record.ts';

const second = 1_000_000_000;
const began = Date.parse('2025-01-01T00:00:00Z');
const fresh: StoredHealth = { status: 'starting', failingStreak: 0, log: [] };
const result = (exitCode: number, afterSeconds: number) => {
  const time = new Date(began + afterSeconds * 1000).toISOString();
  return { Start: time, End: time, ExitCode: exitCode, Output: '' };
};

test('the user’s words over the image’s', () => {
  const image = { Test: ['CMD-SHELL', 'false'], Interval: second, Retries: 3 };
  assert.deepEqual(mergeHealthcheck(undefined, image), image);
  assert.deepEqual(mergeHealthcheck({ Interval: 5 * second }, image), { ...image, Interval: 5 * second });
  assert.deepEqual(mergeHealthcheck({ Test: ['NONE'] }, image), { ...image, Test: ['NONE'] });
  assert.equal(mergeHealthcheck(undefined, undefined), undefined);
});

test('what is to be run, and what is not', () => {
  const command = (test: readonly string[], shell?: readonly string[]) => healthPlan({ Test: test }, shell)?.command;
  assert.deepEqual(command(['CMD', 'a', 'b']), ['a', 'b']);
  assert.deepEqual(command(['CMD-SHELL', 'a b']), ['/bin/sh', '-c', 'a b']);
  assert.deepEqual(command(['CMD-SHELL', 'a b'], ['ash', '-ec']), ['ash', '-ec', 'a b']);
  for (const none of [[], ['NONE'], ['CMD'], ['']]) assert.equal(command(none), undefined);
});

test('failures in the start period do not count until it has been healthy once', () => {
  const plan = healthPlan({ Test: ['CMD', 'x'], StartPeriod: 10 * second, Retries: 2 }, null)!;
  let health = afterProbe(plan, fresh, result(1, 5), began);
  assert.deepEqual([health.status, health.failingStreak, health.log.length], ['starting', 0, 1]);
  health = afterProbe(plan, health, result(1, 11), began);
  assert.deepEqual([health.status, health.failingStreak], ['starting', 1]);
  health = afterProbe(plan, health, result(1, 12), began);
  assert.deepEqual([health.status, health.failingStreak], ['unhealthy', 2]);
  health = afterProbe(plan, health, result(0, 13), began);
  assert.deepEqual([health.status, health.failingStreak], ['healthy', 0]);
  const early = afterProbe(plan, { ...fresh, status: 'healthy' }, result(1, 3), began);
  assert.deepEqual([early.status, early.failingStreak], ['healthy', 1]);
});

test('the last five results are kept', () => {
  const plan = healthPlan({ Test: ['CMD', 'x'] }, null)!;
  let health = fresh;
  for (let code = 1; code <= 7; code++) health = afterProbe(plan, health, result(code, code), began);
  assert.deepEqual(
    health.log.map((one) => one.ExitCode),
    [3, 4, 5, 6, 7],
  );
});

test('the start interval holds while it starts', () => {
  const plan = healthPlan(
    { Test: ['CMD', 'x'], Interval: 3 * second, StartPeriod: 10 * second, StartInterval: second },
    null,
  )!;
  assert.equal(nextProbeMs(plan, fresh, began, began + 5_000), 1000);
  assert.equal(nextProbeMs(plan, fresh, began, began + 10_000), 3000);
  assert.equal(nextProbeMs(plan, { ...fresh, status: 'healthy' }, began, began + 5_000), 3000);
});

test('checks that cannot be', () => {
  assert.throws(() => checkHealthcheck({ Interval: 1000 }, {}), {
    message: 'Interval in Healthcheck cannot be less than 1ms',
  });
  assert.throws(() => checkHealthcheck({ Retries: -1 }, {}), { message: 'Retries in Healthcheck cannot be negative' });
  assert.throws(() => checkHealthcheck({ Test: ['BOGUS'] }, {}), /unknown type of health check 'BOGUS'/);
  assert.throws(
    () => checkHealthcheck(undefined, { 'io.wherry.health-on-failure': 'explode' }),
    /invalid value for label io\.wherry\.health-on-failure \(explode\): must be one of none, kill, restart, stop/,
  );
});
