import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { sys } from '#sys';
import { temporaryFolder } from '#testing';
import { containerSetup, daemonWords } from './containers-fixture.ts';

const v1 = existsSync('/sys/fs/cgroup/memory/memory.swappiness');
/** A disk the kernel can throttle, by name. */
const disk = readdirSync('/sys/block').find(
  (name) => /^(?:[svx]?vd|nvme|mmc)/.test(name) && existsSync(`/dev/${name}`),
);

test('limits of a container, its init and its runtime', async (t) => {
  await using folder = await temporaryFolder();
  const runtimes = readdirSync('/usr/sbin').includes('runc') ? '/usr/sbin/runc' : '/usr/bin/crun';
  await symlink(runtimes, join(folder.path, 'mine'));
  await using setup = await containerSetup(t, [
    `--add-runtime=mine=${join(folder.path, 'mine')}`,
    '--add-runtime=broken=/bin/false',
  ]);
  if (!setup) return;
  const { daemon, docker, run, sh } = setup;
  const message = async (flags: readonly string[]) => {
    const ran = await run(flags, ['true']);
    assert.notEqual(ran.status, 0, flags.join(' '));
    return daemonWords(docker, ran);
  };

  await t.test('block I/O: rates of a device; a device that is none', { skip: !disk && 'no disk' }, async () => {
    const { major, minor } = { major: sys.lstat(`/dev/${disk}`).rdevMajor, minor: sys.lstat(`/dev/${disk}`).rdevMinor };
    const flags = ['--device-read-bps', `/dev/${disk}:1mb`, '--device-write-iops', `/dev/${disk}:77`];
    const seen = await sh(
      [...flags, '--cgroupns', 'host'],
      v1
        ? 'cd /sys/fs/cgroup/blkio; cat blkio.throttle.read_bps_device blkio.throttle.write_iops_device'
        : 'cat /sys/fs/cgroup/$(cut -d: -f3 /proc/self/cgroup)/io.max',
    );
    const expected = v1
      ? `${major}:${minor} 1048576\n${major}:${minor} 77`
      : `${major}:${minor} rbps=1048576 wbps=max riops=max wiops=77`;
    assert.equal(seen, expected);
    assert.equal(
      await message(['--device-read-bps', '/dev/nosuch:1mb']),
      'stat /dev/nosuch: no such file or directory',
    );
  });

  await t.test('memory: swappiness and no OOM kills', { skip: !v1 && 'cgroup v2 has neither' }, async () => {
    const flags = ['-m', '20m', '--memory-swappiness', '20', '--oom-kill-disable'];
    const seen = await sh(flags, 'cd /sys/fs/cgroup/memory; cat memory.swappiness memory.oom_control');
    assert.match(seen, /^20\noom_kill_disable 1\n/);
    const warned = await run(['--oom-kill-disable'], ['true']);
    // Before 23 the CLI warned too, in words of its own.
    assert.match(warned.stderr, /^WARNING: OOM killer is disabled for the container, but no memory limit is set/m);
  });

  await t.test('ulimits: those of the host at most', async () => {
    assert.equal(await sh(['--ulimit', 'core=0', '--ulimit', 'cpu=-1'], 'ulimit -c; ulimit -t'), '0\nunlimited');
    assert.match(
      await message(['--ulimit', 'nofile=1:9999999999']),
      /error setting rlimit type 7: operation not permitted: nofile can be \d+ at most on this machine$/,
    );
  });

  await t.test('a size of the root: written so much and no more, shown by df and inspect', async () => {
    const script = 'dd if=/dev/zero of=/big bs=1M count=90 2>&1; df -m / | tail -1; rm /big; echo again > /small';
    const { stdout } = await run(['--storage-opt', 'size=30M'], ['sh', '-c', script]);
    assert.match(stdout, /No space left on device/);
    const [, sizeMB] = /^overlay +(\d+) /m.exec(stdout) ?? [];
    assert.ok(Number(sizeMB) >= 28 && Number(sizeMB) <= 40, stdout);
    const id = await docker.ok('create', '--storage-opt', 'size=30M', 'base', 'true');
    assert.equal(await docker.ok('inspect', '-f', '{{.HostConfig.StorageOpt.size}}', id), '30M\n');
    await docker.ok('rm', id);
    assert.match(await message(['--storage-opt', 'size=abc']), /invalid size: 'abc'/);
    assert.match(await message(['--storage-opt', 'bogus=1']), /Unknown option bogus/);
  });

  await t.test('--init: first, reaps, hands on signals and exit codes', async () => {
    assert.match(await sh(['--init'], 'tr "\\0" " " < /proc/1/cmdline'), /^\/sbin\/docker-init -- sh -c/);
    assert.equal((await run(['--init'], ['sh', '-c', 'exit 7'])).status, 7);
    assert.equal((await run(['--init'], ['sh', '-c', 'kill -9 $$'])).status, 137);
    assert.equal((await run(['--init'], ['nosuch'])).status, 127);
    // An orphan that ended would stay a zombie below a shell that waits for nobody.
    assert.equal(
      await sh(['--init'], '(sleep 0.05 &); sleep 0.3; grep -l "^State:.Z" /proc/[0-9]*/status | wc -l'),
      '0',
    );
    await docker.ok(
      'run',
      '-d',
      '--init',
      '--name',
      'trap',
      'base',
      'sh',
      '-c',
      'trap "exit 9" TERM; touch /up; while :; do sleep 0.05; done',
    );
    await docker.ok('exec', 'trap', 'sh', '-c', 'until [ -e /up ]; do sleep 0.05; done');
    await docker.ok('stop', 'trap');
    assert.equal(await docker.ok('inspect', '-f', '{{.State.ExitCode}}', 'trap'), '9\n');
    await docker.ok('rm', 'trap');
  });

  await t.test('--runtime: by name, kept over a restart of the daemon', async () => {
    assert.equal(await message(['--runtime', 'nosuch']), 'unknown or invalid runtime name: nosuch');
    assert.match(await message(['--runtime', 'broken']), /^failed to create task for container: runtime broken: /);
    await docker.ok('run', '-d', '--name', 'other', '--runtime', 'mine', 'base', 'sleep', '100');
    assert.equal(await docker.ok('inspect', '-f', '{{.HostConfig.Runtime}}', 'other'), 'mine\n');
    await daemon.kill();
    await daemon.start();
    assert.equal(await docker.ok('exec', 'other', 'echo', 'here'), 'here\n');
    assert.match(await docker.ok('info', '-f', '{{json .Runtimes}}'), /"mine":\{"path":"[^"]*\/mine"/);
    await docker.ok('rm', '-f', 'other');
    assert.ok(statSync(join(folder.path, 'mine')).isFile());
  });
});
