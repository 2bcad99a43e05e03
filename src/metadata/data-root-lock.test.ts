import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { isKind } from '#errdefs';
import { temporaryFolder } from '#testing';
import { dataRootOwner, lockDataRoot } from './index.ts';

test('a data root has one owner, named to the second', async () => {
  await using folder = await temporaryFolder();
  {
    await using _first = await lockDataRoot(folder.path, { sockets: ['unix:///run/x.sock'] });
    await assert.rejects(
      lockDataRoot(folder.path, { sockets: [] }),
      (error: Error) =>
        isKind(error, 'conflict') &&
        error.message.includes(String(process.pid)) &&
        error.message.includes('unix:///run/x.sock'),
    );
    assert.deepEqual(await dataRootOwner(folder.path), {
      pid: process.pid,
      sockets: ['unix:///run/x.sock'],
    });
  }
  await using _second = await lockDataRoot(folder.path, { sockets: [] });
});

test('children do not inherit the lock, and a killed owner leaves none', async () => {
  await using folder = await temporaryFolder();
  const first = await lockDataRoot(folder.path, { sockets: [] });
  const child = spawn('sleep', ['60']);
  await once(child, 'spawn');
  await first[Symbol.asyncDispose]();
  const second = await lockDataRoot(folder.path, { sockets: [] });
  child.kill('SIGKILL');
  await second[Symbol.asyncDispose]();

  const program = `import { lockDataRoot } from '#metadata';
    await lockDataRoot(process.argv[1], { sockets: [] }); console.log('held'); setInterval(() => {}, 1000);`;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', program, folder.path], {
    cwd: import.meta.dirname,
  });
  await once(owner.stdout, 'data');
  await assert.rejects(lockDataRoot(folder.path, { sockets: [] }), (error) => isKind(error, 'conflict'));
  owner.kill('SIGKILL');
  await once(owner, 'exit');
  await using _third = await lockDataRoot(folder.path, { sockets: [] });
});
