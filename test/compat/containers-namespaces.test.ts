import assert from 'node:assert/strict';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { containerSetup, daemonWords, until } from './containers-fixture.ts';

const own = (kind: string) => readlinkSync(`/proc/self/ns/${kind}`);

test('namespaces: shared with the host, with other containers, and not', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { daemon, docker, run, sh } = setup;
  const message = async (flags: readonly string[]) => {
    const ran = await run(flags, ['true']);
    assert.equal(ran.status, 125, flags.join(' '));
    return daemonWords(docker, ran);
  };
  const idOf = async (name: string) => (await docker.ok('inspect', '-f', '{{.Id}}', name)).trim();
  const shmFolders = () => readdirSync(join(daemon.folder, 'run', 'shm'));

  await docker.ok('run', '-d', '--name', 'donor', '--ipc', 'shareable', '--shm-size', '1m', 'base', 'sleep', '1000');
  await docker.ok('run', '-d', '--name', 'closed', 'base', 'sleep', '1000');
  await docker.ok('create', '--name', 'still', 'base', 'true');

  await t.test('ipc of another container: its namespace and its /dev/shm', async () => {
    await docker.ok('exec', 'donor', 'sh', '-c', 'echo shared > /dev/shm/f');
    const donors = (await docker.ok('exec', 'donor', 'readlink', '/proc/self/ns/ipc')).trim();
    const joined = await sh(['--ipc', 'container:donor'], 'readlink /proc/self/ns/ipc; cat /dev/shm/f; mount');
    assert.ok(joined.startsWith(`${donors}\nshared\n`), joined);
    assert.match(joined, /^shm on \/dev\/shm type tmpfs \(rw,nosuid,nodev,noexec,relatime,size=1024k.*\)$/m);
    assert.equal(shmFolders().length, 1);
    const closed = await idOf('closed');
    assert.equal(
      await message(['--ipc', 'container:closed']),
      `failed to join IPC namespace: container ${closed}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
    );
    assert.equal(
      await message(['--ipc', 'container:still']),
      `failed to join IPC namespace: container ${await idOf('still')} is not running`,
    );
    assert.equal(await message(['--ipc', 'container:nosuch']), 'No such container: nosuch');
    assert.equal(await message(['--ipc', 'bogus']), 'invalid IPC mode: bogus');
  });

  await t.test('a shared /dev/shm outlives the daemon, and goes with its container', async () => {
    await daemon.kill();
    await daemon.start();
    assert.equal(await sh(['--ipc', 'container:donor'], 'cat /dev/shm/f'), 'shared');
    await docker.ok('create', '--name', 'late', '--ipc', 'container:donor', 'base', 'true');
    const donor = await idOf('donor');
    await docker.ok('rm', '-f', 'donor');
    assert.deepEqual(shmFolders(), []);
    const late = await docker.run(['start', 'late']);
    assert.match(late.stderr, new RegExp(`failed to join IPC namespace: No such container: ${donor}\n`));
    await docker.ok('rm', 'late');
  });

  await t.test('ipc: none and the host', async () => {
    assert.equal(await sh(['--ipc', 'none'], 'ls -d /dev/shm 2>/dev/null || echo none'), 'none');
    assert.equal(await sh(['--ipc', 'host'], 'readlink /proc/self/ns/ipc'), own('ipc'));
    const inspect = ['inspect', '-f', '{{.HostConfig.IpcMode}} {{.HostConfig.SecurityOpt}}'];
    await docker.ok('create', '--name', 'open', '--ipc', 'host', 'base', 'true');
    assert.equal(await docker.ok(...inspect, 'open', 'closed'), 'host [label=disable]\nprivate []\n');
    await docker.ok('rm', 'open');
  });

  await t.test('pid: of another container, of the host', async () => {
    assert.match(await sh(['--pid', 'container:closed'], 'ps'), /^ +1 .*sleep 1000$/m);
    assert.equal(await sh(['--pid', 'host'], 'readlink /proc/self/ns/pid'), own('pid'));
    assert.equal(
      await message(['--pid', 'container:still']),
      `failed to join PID namespace: container ${await idOf('still')} is not running`,
    );
    await docker.ok('run', '-d', '--name', 'inside', '--pid', 'container:closed', 'base', 'sleep', '1001');
    await docker.ok('kill', 'closed');
    assert.equal((await docker.ok('wait', 'inside')).trim(), '137');
    await docker.ok('rm', 'inside', 'closed');
  });

  await t.test('what a container in the pid namespace of the host leaves behind ends with it', async () => {
    await docker.ok(
      'run',
      '-d',
      '--name',
      'parent',
      '--pid',
      'host',
      'base',
      'sh',
      '-c',
      'sleep 1002 & exec sleep 1003',
    );
    const child = await until(
      async () => /^\S+ +(\d+) .*sleep 1002$/m.exec(await docker.ok('top', 'parent'))?.[1] ?? '',
      (pid) => pid !== '',
    );
    await docker.ok('kill', 'parent');
    await until(
      async () => existsSync(`/proc/${child}`),
      (alive) => !alive,
    );
    await docker.ok('rm', 'parent');
  });

  await t.test('uts, cgroup and user namespaces', async () => {
    assert.equal(await sh(['--uts', 'host'], 'hostname; readlink /proc/self/ns/uts'), `${hostname()}\n${own('uts')}`);
    assert.equal(await message(['--uts', 'host', '--hostname', 'x']), 'conflicting options: hostname and the UTS mode');
    assert.equal(await sh(['--cgroupns', 'host'], 'readlink /proc/self/ns/cgroup'), own('cgroup'));
    const cgroups = await sh(['--cgroupns', 'private'], 'readlink /proc/self/ns/cgroup; cat /proc/self/cgroup');
    assert.ok(!cgroups.includes(own('cgroup')), cgroups);
    assert.match(cgroups, /:memory:\/$|^0::\/$/m);
    assert.equal(await sh(['--userns', 'host'], 'readlink /proc/self/ns/user'), own('user'));
  });

  await t.test('kernel settings of a namespace that is shared are refused', async () => {
    const refused =
      'failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: sysctl';
    assert.equal(await sh(['--sysctl', 'kernel.shmmax=1000000'], 'cat /proc/sys/kernel/shmmax'), '1000000');
    assert.equal(
      await message(['--ipc', 'host', '--sysctl', 'kernel.shmmax=1000000']),
      `${refused} "kernel.shmmax" is not allowed in the hosts ipc namespace`,
    );
    assert.equal(
      await message(['--network', 'host', '--sysctl', 'net.ipv4.ip_forward=1']),
      `${refused} "net.ipv4.ip_forward" not allowed in host network namespace`,
    );
  });
});
