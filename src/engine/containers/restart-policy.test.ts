import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRestartPolicy, nextDelayMs, wantsRestart } from './restart-policy.ts';

const failed = { exitCode: 1, restartCount: 0, stoppedByHand: false };
const stopped = { ...failed, stoppedByHand: true };
const done = { ...failed, exitCode: 0 };

test('which ends a policy starts a container after', () => {
  const wants = (name: 'no' | 'always' | 'unless-stopped' | 'on-failure') =>
    [failed, done, stopped].map((end) => wantsRestart({ Name: name }, end));
  assert.deepEqual(wants('no'), [false, false, false]);
  assert.deepEqual(wants('always'), [true, true, true]);
  assert.deepEqual(wants('unless-stopped'), [true, true, false]);
  assert.deepEqual(wants('on-failure'), [true, false, false]);
  const thrice = { Name: 'on-failure', MaximumRetryCount: 3 } as const;
  assert.equal(wantsRestart(thrice, { ...failed, restartCount: 2 }), true);
  assert.equal(wantsRestart(thrice, { ...failed, restartCount: 3 }), false);
});

test('delays double up to a minute, and begin anew after a run that worked', () => {
  const delays: number[] = [];
  for (let delay = 0; delays.length < 12; delays.push(delay)) delay = nextDelayMs(delay, 50);
  assert.deepEqual(delays, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]);
  assert.equal(nextDelayMs(51_200, 10_001), 100);
});

test('policies dockerd refuses', () => {
  const refused = (policy: object) => {
    let message = '';
    assert.throws(
      () => checkRestartPolicy(policy),
      (error: Error) => {
        message = error.message;
        return true;
      },
    );
    return message.replace('invalid restart policy: ', '');
  };
  assert.equal(
    refused({ Name: 'bogus' }),
    "unknown policy 'bogus'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
  );
  assert.equal(
    refused({ Name: 'always', MaximumRetryCount: 2 }),
    "maximum retry count can only be used with 'on-failure'",
  );
  assert.equal(
    refused({ MaximumRetryCount: -1 }),
    "maximum retry count can only be used with 'on-failure' and cannot be negative",
  );
  assert.equal(refused({ Name: 'on-failure', MaximumRetryCount: -1 }), 'maximum retry count cannot be negative');
  checkRestartPolicy({ Name: 'on-failure', MaximumRetryCount: 3 });
});
