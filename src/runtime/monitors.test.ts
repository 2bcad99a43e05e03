import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { containerOf, monitorsOf } from './monitors.ts';

test('conmon and the runtime say which container they work for', () => {
  const conmon = ['conmon', '--sync', '--runtime-arg', '--root=/run/x/state', '--cid', 'abc', '--cuuid', 'def'];
  assert.equal(containerOf(conmon, '/run/x/state'), 'abc');
  assert.equal(containerOf(['crun', '--root=/run/x/state', 'create', '--bundle', '/b', 'abc'], '/run/x/state'), 'abc');
  assert.equal(containerOf(conmon, '/run/y/state'), undefined);
  assert.equal(containerOf([''], '/run/x/state'), undefined);
});

test('processes are found by their state folder', async () => {
  const folder = `/nonexistent/${process.pid}/state`;
  assert.deepEqual(monitorsOf(folder), []);
  const script = 'console.log(1); setInterval(() => {}, 1000)';
  const child = spawn(process.execPath, ['-e', script, '--', `--root=${folder}`, 'create', 'some-id'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(child.stdout, 'data');
    assert.deepEqual(monitorsOf(folder), [{ pid: child.pid, containerID: 'some-id' }]);
  } finally {
    child.kill();
    await once(child, 'exit');
  }
  assert.deepEqual(monitorsOf(folder), []);
});
