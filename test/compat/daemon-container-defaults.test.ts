/** What the daemon's configuration gives containers that do not say otherwise. */
import assert from 'node:assert/strict';
import { readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { containerSetup } from './containers-fixture.ts';

const shown = '{{json .HostConfig}}';

test('defaults of containers', async (t) => {
  const setup = await containerSetup(t, [
    ...['--default-ulimit', 'nofile=100:200', '--default-ulimit', 'core=0', '--default-shm-size', '8m'],
    ...['--default-ipc-mode', 'shareable', '--default-cgroupns-mode', 'private', '--cgroup-parent', '/wherry-defaults'],
    ...['--init', '--no-new-privileges'],
  ]);
  if (!setup) return;
  await using held = setup;
  const { docker, sh } = held;
  const look =
    'ulimit -n; ulimit -Hn; grep ^NoNewPrivs /proc/self/status; grep -c . /proc/1/comm; df -k /dev/shm | tail -n 1';
  const facts = (text: string) => text.replace(/\s+/g, ' ');

  await t.test('are what a container gets', async () => {
    assert.match(facts(await sh([], look)), /^100 200 NoNewPrivs: 1 1 shm 8192 /);
    assert.match(
      facts(await sh(['--ulimit', 'nofile=50', '--shm-size', '4m'], look)),
      /^50 50 NoNewPrivs: 1 1 shm 4096 /,
    );
    assert.match(facts(await sh(['--privileged'], look)), /NoNewPrivs: 1/);
    assert.match(facts(await sh(['--security-opt', 'no-new-privileges=false'], look)), /NoNewPrivs: 0/);
    const namespace = await readlink('/proc/self/ns/cgroup');
    assert.notEqual(await sh([], 'readlink /proc/self/ns/cgroup'), namespace);
    assert.equal(await sh(['--cgroupns', 'host'], 'readlink /proc/self/ns/cgroup'), namespace);
    assert.equal(await sh(['--privileged'], 'readlink /proc/self/ns/cgroup'), namespace);
  });

  await t.test('stand in its configuration, but for those asked for at every start', async () => {
    await docker.ok('create', '--name', 'plain', 'base', 'true');
    const plain = JSON.parse(await docker.ok('inspect', '-f', shown, 'plain'));
    const limits = [
      { Name: 'nofile', Hard: 200, Soft: 100 },
      { Name: 'core', Hard: 0, Soft: 0 },
    ];
    assert.deepEqual(
      [
        plain.Ulimits,
        plain.ShmSize,
        plain.IpcMode,
        plain.CgroupnsMode,
        plain.Init,
        plain.SecurityOpt,
        plain.CgroupParent,
      ],
      [limits, 8 << 20, 'shareable', 'private', undefined, null, ''],
    );
    await docker.ok(
      'create',
      '--name',
      'own',
      '--ulimit',
      'core=1',
      '--ipc',
      'private',
      '--privileged',
      'base',
      'true',
    );
    const own = JSON.parse(await docker.ok('inspect', '-f', shown, 'own'));
    assert.deepEqual(own.Ulimits, [{ Name: 'core', Hard: 1, Soft: 1 }, limits[0]]);
    assert.deepEqual([own.IpcMode, own.CgroupnsMode], ['private', 'host']);
  });

  await t.test('an init, unless the container says no or has the PIDs of others', async () => {
    const first = 'cat /proc/1/comm; true';
    assert.match(await sh([], first), /init$/);
    assert.equal(await sh(['--init=false'], first), 'sh');
    assert.equal(await sh(['--pid', 'host', '--init'], 'cat /proc/$PPID/comm | grep -c init || true'), '0');
  });

  await t.test('a parent for cgroups, also of what an exec starts', async () => {
    await docker.ok('run', '-d', '--name', 'long', 'base', 'sleep', '1000');
    const pid = (await docker.ok('inspect', '-f', '{{.State.Pid}}', 'long')).trim();
    assert.match(await readFile(`/proc/${pid}/cgroup`, 'utf8'), /:\/wherry-defaults\/[0-9a-f]{64}$/m);
    assert.match(await docker.ok('exec', 'long', 'sh', '-c', look), /^100\n200\nNoNewPrivs:\t1\n/);
    assert.match(await docker.ok('stats', '--no-stream', '--format', '{{.PIDs}}', 'long'), /^[1-9]/);
    await docker.ok('rm', '-f', 'long');
    await docker.ok('run', '-d', '--name', 'long', '--cgroup-parent', '/wherry-own', 'base', 'sleep', '1000');
    const other = (await docker.ok('inspect', '-f', '{{.State.Pid}}', 'long')).trim();
    assert.match(await readFile(`/proc/${other}/cgroup`, 'utf8'), /:\/wherry-own\//);
    await docker.ok('rm', '-f', 'long');
  });

  await t.test('are those of builds, and information says so', async () => {
    const built = await docker.run(['build', '--no-cache', '-'], { input: `FROM base\nRUN ${look}\n` });
    assert.match(facts(built.stdout + built.stderr), /100 200 NoNewPrivs: 1 1 shm 8192 /);
    assert.match(await docker.ok('info', '-f', '{{json .SecurityOptions}}'), /"name=no-new-privileges"/);
  });
});

test('from daemon.json, with an init that is not there', async (t) => {
  await using folder = await temporaryFolder();
  const config = join(folder.path, 'daemon.json');
  await writeFile(
    config,
    JSON.stringify({
      'default-ulimits': { nofile: { Name: 'nofile', Hard: 200, Soft: 100 } },
      'default-shm-size': '8M',
      'init-path': '/nowhere/init',
    }),
  );
  const setup = await containerSetup(t, ['--config-file', config]);
  if (!setup) return;
  await using held = setup;
  const { docker, sh, run } = held;
  assert.match(await sh([], 'ulimit -Hn; df -k /dev/shm | tail -n 1'), /^200\nshm +8192 /);
  assert.match(await docker.ok('info', '-f', '{{.InitBinary}}'), /^\/nowhere\/init\n/);
  const failed = await run(['--init'], ['true']);
  assert.notEqual(failed.status, 0);
  assert.match(failed.stderr, /\/nowhere\/init/);
});
