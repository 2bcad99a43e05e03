import assert from 'node:assert/strict';
import { mkdirSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { requireRoot } from '#testing';
import { TestDaemon } from '../support/daemon.ts';
import { inPieces, tarOf } from './crash-fixture.ts';
import { patient, run, wherryd, withBase } from './daemon-fixture.ts';

/** Changes a byte of a blob. */
function damage(dataRoot: string): string {
  const folder = join(dataRoot, 'content/blobs/sha256');
  const name = readdirSync(folder).find((entry) => entry !== undefined)!;
  writeSync(openSync(join(folder, name), 'r+'), Buffer.from([0xff]), 0, 1, 0);
  return name;
}

test('verify asks the daemon that runs, and opens the root itself when none does', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start();
  await using engine = await withBase(daemon.host);
  const id = await run(engine, 'lives', { Cmd: patient });
  const well = { status: 0, output: 'everything is well\n' };
  assert.deepEqual(await wherryd('verify', '--data-root', daemon.dataRoot), well);

  await daemon.kill();
  {
    // The socket that the lock file names is now that of a daemon with another root.
    await using _other = await TestDaemon.start({ flags: ['-H', daemon.host] });
    assert.deepEqual(await wherryd('verify', '--data-root', daemon.dataRoot), well);
  }
  await daemon.start();
  assert.equal((await engine.containers.inspect(id)).State.Running, true);

  mkdirSync(join(daemon.dataRoot, 'containers', 'nobody'));
  mkdirSync(join(daemon.dataRoot, 'volumes', 'nobody'));
  writeFileSync(join(daemon.folder, 'run/exits', 'nobody'), '0');
  writeFileSync(join(daemon.dataRoot, 'layers', `${'0'.repeat(64)}.erofs`), 'nothing');
  const blob = damage(daemon.dataRoot);
  const { status, output } = await wherryd('verify', '--data-root', daemon.dataRoot);
  assert.equal(status, 1);
  assert.match(output, new RegExp(`blob sha256:${blob}: `));
  assert.match(output, /containers\/nobody: left by an earlier run/);
  assert.match(output, /runtime: nobody belongs to no running container/);
  assert.match(output, /volume folder nobody belongs to no volume/);
  assert.match(output, /layers\/0{64}\.erofs: no layer has this file/);
  assert.match(output, /\d faults found\n$/);
});

test('verify of unpacked layers finds nothing wrong with whiteouts', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: ['--storage-driver', 'overlay2'] });
  await using engine = await withBase(daemon.host);
  const context = tarOf({ Dockerfile: 'FROM base\nRUN rm /bin/vi && rm -r /srv && mkdir /srv\n' });
  for await (const _ of engine.build(inPieces(context), { t: ['less'] }));
  const { Id } = await engine.containers.create({ Image: 'less', Cmd: ['true'] });
  assert.deepEqual(await Array.fromAsync(engine.system.verify()), []);
  await engine.containers.remove(Id);
});

test('verify of a folder that is not there', async () => {
  const { status, output } = await wherryd('verify', '--data-root', '/nonexistent/root');
  assert.equal(status, 1);
  assert.match(output, /no such data root/);
});
