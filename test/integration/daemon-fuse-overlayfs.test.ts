import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { connect } from '#client';
import { requireRoot } from '#testing';
import { TestDaemon } from '../support/daemon.ts';
import { eventually, logText, run, withBase } from './daemon-fixture.ts';

const script = [
  'set -e; rm -r /gone; mkdir /gone; echo new > /gone/file; cp /bin/busybox /su; chmod 4755 /su; echo wrote',
  'trap "exit 7" TERM; sleep 1000 & wait',
];

test('containers on fuse-overlayfs: written, committed while running, and alive after the daemon was killed', async (t) => {
  if (!requireRoot(t)) return;
  if (spawnSync('fuse-overlayfs', ['--version']).status !== 0) return t.skip('needs fuse-overlayfs');
  const flags = ['--storage-driver=fuse-overlayfs'];
  await using daemon = await TestDaemon.start({ flags });
  await using engine = await withBase(daemon.host);
  const { Driver, DriverStatus } = await engine.system.info();
  assert.equal(Driver, 'fuse-overlayfs');
  const why = DriverStatus!.find(([name]) => name === 'Chosen Because');
  assert.match(why![1]!, /requested; the command fuse-overlayfs stacks folders here/);
  assert.match(daemon.log, /storage driver chosen.*fuse-overlayfs/);

  const made = await run(engine, 'maker', { Cmd: ['sh', '-c', 'mkdir /gone; echo old > /gone/old'] });
  await (await engine.containers.wait(made)).result;
  await engine.images.commit(made, { repo: 'with-folder' });
  const id = await run(engine, 'box', { Image: 'with-folder', Cmd: ['sh', '-c', script.join('; ')] });
  assert.ok(await eventually(async () => (await logText(engine, id)).includes('wrote')));
  const changes = async () =>
    (await connect(daemon.host).containers.changes(id))!.map(({ Kind, Path }) => `${Kind} ${Path}`);
  const expected = ['0 /gone', '1 /gone/file', '2 /gone/old', '1 /su'];
  assert.deepEqual((await changes()).sort(), expected.sort());
  await engine.images.commit(id, { repo: 'kept' });

  await daemon.kill();
  await daemon.start();
  await using next = connect(daemon.host);
  assert.equal((await next.containers.inspect(id)).State!.Running, true);
  assert.deepEqual((await changes()).sort(), expected.sort());
  const look = await run(next, 'look', { Image: 'kept', Cmd: ['sh', '-c', 'ls -A /gone; stat -c %a /su'] });
  await (await next.containers.wait(look)).result;
  assert.equal(await logText(next, look), 'file\n4755\n');
  await next.containers.stop(id, {});
  for (const name of ['maker', 'box', 'look']) await next.containers.remove(name);
  assert.deepEqual(await Array.fromAsync(next.system.verify()), []);
});
