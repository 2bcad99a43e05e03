import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { containerSetup, daemonWords } from './containers-fixture.ts';

test('volumes with a device: mounted while they are used', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { daemon, docker, folder, run, sh } = setup;
  const dataOf = (name: string) => join(daemon.dataRoot, 'volumes', name, '_data');
  const isMounted = (name: string) =>
    readFileSync('/proc/self/mountinfo')
      .toString()
      .split('\n')
      .some((line) => line.split(' ')[4] === dataOf(name));
  const create = (name: string, options: Readonly<Record<string, string>>) =>
    docker.run([
      'volume',
      'create',
      ...Object.entries(options).flatMap(([key, value]) => ['--opt', `${key}=${value}`]),
      name,
    ]);
  const message = async (flags: readonly string[]) => {
    const ran = await run(flags, ['true']);
    assert.notEqual(ran.status, 0, flags.join(' '));
    return daemonWords(docker, ran);
  };
  const shared = join(folder, 'shared');
  await mkdir(shared);
  await writeFile(join(shared, 'file'), 'shared\n');

  await t.test('a folder of the host', async () => {
    assert.equal((await create('bound', { type: 'none', o: 'bind', device: shared })).status, 0);
    const options = JSON.parse(await docker.ok('volume', 'inspect', '-f', '{{json .Options}}', 'bound'));
    assert.deepEqual(options, { type: 'none', o: 'bind', device: shared });
    assert.equal(await sh(['-v', 'bound:/d'], 'cat /d/file; echo w > /d/written'), 'shared');
    assert.equal(await readFile(join(shared, 'written'), 'utf8'), 'w\n');
    assert.equal(isMounted('bound'), false);
    assert.match(await sh(['-v', 'bound:/d:ro'], 'touch /d/x 2>&1 || true'), /Read-only file system/);
    await docker.ok('create', '--name', 'stopped', '-v', 'bound:/d', 'base', 'true');
    await docker.ok('cp', 'stopped:/d/file', join(folder, 'copy'));
    assert.equal(await readFile(join(folder, 'copy'), 'utf8'), 'shared\n');
    assert.equal(isMounted('bound'), false);
    await docker.ok('rm', 'stopped');
    // mount(2) takes a bind and what it is not to allow in two steps.
    await create('restricted', { type: 'none', o: 'bind,ro,noexec', device: shared });
    const mounted = await sh(['-v', 'restricted:/d'], 'grep " /d " /proc/mounts; touch /d/x 2>&1 || true');
    assert.match(mounted, / ro,noexec,.*\n.*Read-only file system$/s);
  });

  await t.test('a tmpfs, shared by those who use it at one time, over a crash of the daemon', async () => {
    await create('memory', { type: 'tmpfs', device: 'tmpfs', o: 'size=1m,uid=5' });
    await docker.ok('run', '-d', '--name', 'one', '-v', 'memory:/d', 'base', 'sleep', '100');
    await docker.ok('exec', 'one', 'sh', '-c', 'echo kept > /d/f');
    assert.match(
      await sh(['-v', 'memory:/d'], 'cat /d/f; stat -c %u /d; grep " /d " /proc/mounts'),
      /^kept\n5\ntmpfs .*size=1024k,uid=5/,
    );
    await daemon.kill();
    await daemon.start();
    assert.equal(await sh(['-v', 'memory:/d'], 'cat /d/f'), 'kept');
    assert.equal(isMounted('memory'), true);
    const removed = await docker.run(['volume', 'rm', 'memory']);
    assert.match(removed.stderr, /volume is in use/);
    const pid = Number(await docker.ok('inspect', '-f', '{{.State.Pid}}', 'one'));
    await daemon.kill();
    process.kill(pid, 'SIGKILL');
    await daemon.start();
    assert.equal(isMounted('memory'), false);
    await docker.ok('rm', 'one');
    await docker.ok('volume', 'rm', 'memory');
  });

  await t.test('content of the image goes into an empty one', async () => {
    const empty = join(folder, 'empty');
    await mkdir(empty);
    const options = `volume-opt=type=none,volume-opt=o=bind,volume-opt=device=${empty}`;
    const flags = ['--mount', `type=volume,src=filled,dst=/etc,${options}`];
    assert.match(await sh(flags, 'cat /etc/passwd'), /^root:/);
    assert.match(await readFile(join(empty, 'passwd'), 'utf8'), /^root:/);
    assert.equal(isMounted('filled'), false);
  });

  await t.test('what cannot be mounted, and options that are none', async () => {
    await create('missing', { type: 'none', o: 'bind', device: '/nosuch' });
    const data = dataOf('missing');
    assert.equal(
      await message(['--mount', 'type=volume,src=missing,dst=/d,volume-nocopy']),
      `error while mounting volume '${data}': failed to mount local volume: mount /nosuch:${data}, flags: 0x1000: no such file or directory`,
    );
    await create('kind', { type: 'bogus', device: 'x' });
    assert.match(
      await message(['--mount', 'type=volume,src=kind,dst=/d,volume-nocopy']),
      /mount x:\S+_data: no such device$/,
    );
    const refused = async (options: Readonly<Record<string, string>>) => (await create('no', options)).stderr.trim();
    assert.match(await refused({ o: 'bind', type: 'none' }), /create no: missing required option: "device"$/);
    assert.match(await refused({ bogus: '1' }), /create no: invalid option: "bogus"$/);
    // A 404 means to the CLI that the image is missing; before 25 it said nothing else.
    const { stderr } = await run(['--volume-driver', 'bogus', '-v', 'other:/d'], ['true']);
    assert.match(
      stderr,
      /create other: error looking up volume plugin bogus: plugin "bogus" not found|Unable to find image/,
    );
    await docker.ok('volume', 'rm', 'missing', 'kind');
  });
});
