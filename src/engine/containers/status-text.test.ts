import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initialState } from './record.ts';
import { humanDuration, statusText } from './status-text.ts';

test('spans in Docker’s words', () => {
  const hour = 3600;
  const day = 24 * hour;
  const spans: readonly (readonly [number, string])[] = [
    [0.5, 'Less than a second'],
    [1.5, '1 second'],
    [59, '59 seconds'],
    [60, 'About a minute'],
    [45 * 60, '45 minutes'],
    [hour, 'About an hour'],
    [47 * hour, '47 hours'],
    [3 * day, '3 days'],
    [20 * day, '2 weeks'],
    [90 * day, '3 months'],
    [800 * day, '2 years'],
  ];
  for (const [seconds, text] of spans) assert.equal(humanDuration(seconds), text);
});

test('the status of a container', () => {
  const now = new Date('2025-01-01T00:01:00Z');
  const state = { ...initialState, startedAt: '2025-01-01T00:00:50Z', finishedAt: '2025-01-01T00:00:57Z', exitCode: 3 };
  assert.equal(statusText({ ...state, status: 'created' }, undefined, now), 'Created');
  assert.equal(statusText({ ...state, status: 'running' }, undefined, now), 'Up 10 seconds');
  const running = { ...state, status: 'running' } as const;
  assert.equal(statusText(running, 'starting', now), 'Up 10 seconds (health: starting)');
  assert.equal(statusText(running, 'unhealthy', now), 'Up 10 seconds (unhealthy)');
  assert.equal(statusText({ ...state, status: 'paused' }, undefined, now), 'Up 10 seconds (Paused)');
  assert.equal(statusText({ ...state, status: 'restarting' }, undefined, now), 'Restarting (3) 3 seconds ago');
  assert.equal(statusText({ ...state, status: 'exited' }, undefined, now), 'Exited (3) 3 seconds ago');
});
