import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Container } from './container.ts';
import type { ContainerBody } from './record.ts';

test('who waits is told when nothing of a run is left, not when its process has ended', async () => {
  const state = { status: 'running', exitCode: 0 };
  const container = new Container('c'.repeat(64), 'c', { state } as unknown as ContainerBody);
  const told: string[] = [];
  const wait = (name: string) => void container.ended().then(({ exitCode }) => told.push(`${name} ${exitCode}`));
  wait('before');
  container.beginExit();
  container.body = { ...container.body, state: { ...container.body.state, status: 'exited', exitCode: 7 } };
  wait('meanwhile');
  await turn();
  assert.deepEqual(told, []);
  container.announceExit();
  await turn();
  assert.deepEqual(told, ['before 7', 'meanwhile 7']);
  wait('after');
  await turn();
  assert.equal(told.at(-1), 'after 7');
});
