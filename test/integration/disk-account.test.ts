import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import type { DiskAccount, DiskPartKind, Engine } from '#api-types';
import { requireRoot } from '#testing';
import { TestDaemon } from '../support/daemon.ts';
import { drain, inPieces, noise, tarOf } from './crash-fixture.ts';
import { eventually, patient, run, withBase } from './daemon-fixture.ts';

const part = ({ Parts }: DiskAccount, kind: DiskPartKind) => Parts.find(({ Kind }) => Kind === kind)!;

const du = (path: string) => Number(execFileSync('du', ['-sx', '-B1', path], { encoding: 'utf8' }).split('\t')[0]);

/** While nothing is written; the database's log may still grow by the call before. */
async function agrees(engine: Engine, { dataRoot }: TestDaemon): Promise<DiskAccount> {
  const found = await eventually(async () => {
    const account = await engine.system.account();
    return account.Size === du(dataRoot) ? account : undefined;
  });
  return found ?? assert.fail(`account ${(await engine.system.account()).Size}, du ${du(dataRoot)}`);
}

async function build(engine: Engine, name: string, dockerfile: string): Promise<void> {
  const context = tarOf({ Dockerfile: dockerfile, data: noise(300_000), more: noise(100_000) });
  await drain(engine.build(inPieces(context), { t: [name] }));
}

/** Images that share layers, one in use, one that is another's base; containers that log and write; volumes; a cache mount. */
async function stock(engine: Engine): Promise<void> {
  await build(engine, 'parent', 'FROM base\nCOPY data /a\n');
  await build(
    engine,
    'child',
    'FROM parent\nCOPY more /m\nRUN --mount=type=cache,target=/c dd if=/dev/zero of=/c/f bs=1k count=99\n',
  );
  await build(engine, 'used', 'FROM base\nCOPY more /b\n');
  await run(engine, 'runs', { Image: 'used', Cmd: patient });
  const id = await run(engine, 'ended', {
    Image: 'used',
    Cmd: ['sh', '-c', 'dd if=/dev/zero of=/f bs=1k count=50; head -c 20000 /dev/zero | tr "\\0" x'],
    HostConfig: { Binds: ['data:/v'] },
  });
  await (await engine.containers.wait(id)).result;
  await engine.volumes.create({ Name: 'free' });
}

for (const driver of ['erofs', 'overlay2', 'vfs']) {
  test(`every byte of the data root is somebody's, and a prune takes what was said: ${driver}`, async (t) => {
    if (!requireRoot(t)) return;
    await using daemon = await TestDaemon.start({ flags: ['--undo-min-free=0', '--storage-driver', driver] });
    await using engine = await withBase(daemon.host);
    await stock(engine);
    const before = await agrees(engine, daemon);
    assert.ok(part(before, 'logs').Size >= 20_000);
    assert.ok(part(before, 'build-cache').Size > 99_000);
    assert.equal(part(before, 'in-progress').Size, 0);
    assert.deepEqual(part(before, 'images').Items.filter(({ Name }) => Name === 'child:latest').length, 1);

    const trash = async () => part(await agrees(engine, daemon), 'trash').Size;
    const said = (account: DiskAccount, ...kinds: DiskPartKind[]) =>
      kinds.reduce((sum, kind) => sum + part(account, kind).Reclaimable, 0);
    await engine.containers.prune();
    await engine.volumes.prune({ filters: { all: ['true'] } });
    let kept = await trash();
    assert.ok(kept >= said(before, 'containers', 'logs'), 'containers');
    await engine.trash.empty();
    await engine.pruneBuildCache({ all: true });
    await engine.trash.empty();
    const cleared = await agrees(engine, daemon);
    assert.equal(said(cleared, 'build-cache', 'containers', 'logs', 'volumes'), 0);
    await engine.images.prune({ filters: { dangling: ['false'] } });
    kept = await trash();
    assert.equal(kept, said(cleared, 'images'));
    assert.equal((await engine.trash.list())[0]?.Size, kept);

    const { SpaceFreed } = await engine.trash.empty();
    assert.equal(SpaceFreed, kept);
    const after = await agrees(engine, daemon);
    assert.equal(part(after, 'trash').Size, 0);
    assert.equal(part(after, 'images').Size, part(cleared, 'images').Size - kept);
    await engine.containers.remove('runs', { force: true });
  });
}
