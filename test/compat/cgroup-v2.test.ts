/** A daemon that sees cgroup v2 alone: on machines of v1 in a mount namespace of its own, where v2 has the controllers that v1 does not. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { requireRoot } from '#testing';
import { type ContainerSetup, containerSetup, until } from './containers-fixture.ts';

const enter = `
set -e
mount --make-rprivate /
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec "$@"
`;
const within = ['unshare', '--mount', 'sh', '-c', enter, 'sh'];
const v2Root = existsSync('/sys/fs/cgroup/unified') ? '/sys/fs/cgroup/unified' : '/sys/fs/cgroup';

/** Undefined, said aloud, where there is no such place, or no runtime that works in it. */
async function onV2(t: TestContext): Promise<{ setup: ContainerSetup; controllers: string[] } | undefined> {
  if (!requireRoot(t)) return undefined;
  const seen = spawnSync(within[0]!, [...within.slice(1), 'cat', '/sys/fs/cgroup/cgroup.controllers'], {
    encoding: 'utf8',
  });
  if (seen.status !== 0) {
    t.skip(`cgroup v2 cannot be mounted alone: ${seen.stderr}`);
    return undefined;
  }
  const controllers = seen.stdout.trim().split(' ').filter(Boolean);
  for (const name of ['memory', 'pids', 'cpu', 'cpuset', 'io']) {
    if (!controllers.includes(name))
      t.diagnostic(`NOT TESTED: limits of the ${name} controller, which v1 has on this machine`);
  }
  try {
    const setup = await containerSetup(t, [], { within });
    return setup && { setup, controllers };
  } catch (error) {
    if (!String(error).includes('find an OCI runtime')) throw error;
    t.skip(`no runtime works here with cgroup v2 alone: ${error}`);
    return undefined;
  }
}

test('cgroup v2: containers run, are counted, frozen, kept from devices, and leave nothing', async (t) => {
  const found = await onV2(t);
  if (!found) return;
  await using setup = found.setup;
  const { docker, sh } = setup;
  assert.equal((await docker.ok('info', '--format', '{{.CgroupVersion}}')).trim(), '2');
  assert.match(await docker.ok('info', '--format', '{{.SecurityOptions}}'), /name=cgroupns/);
  assert.match(await sh([], 'cat /proc/self/cgroup'), /^0::\/$/m);
  const id = (await docker.ok('run', '-d', 'base', 'sh', '-c', 'while :; do :; done')).trim();
  assert.match(await sh(['--cgroupns', 'host'], 'cat /proc/self/cgroup'), /^0::\/[0-9a-f]{64}$/m);
  assert.ok(existsSync(`${v2Root}/${id}`));

  await t.test('stats count its time, top its processes', async () => {
    const used = () => docker.ok('stats', '--no-stream', '--format', '{{.CPUPerc}}', id).then(Number.parseFloat);
    await until(used, (percent) => percent > 0);
    assert.match(await docker.ok('top', id), /while :; do :; done/);
  });

  await t.test('paused it uses none, and goes on', async () => {
    const usedUs = () => Number(/usage_usec (\d+)/.exec(readFileSync(`${v2Root}/${id}/cpu.stat`, 'utf8'))?.[1]);
    await docker.ok('pause', id);
    const before = usedUs();
    await docker.ok('version');
    assert.equal(usedUs(), before);
    await docker.ok('unpause', id);
    await until(
      async () => usedUs(),
      (after) => after > before,
    );
    assert.equal(await docker.ok('exec', id, 'echo', 'hi'), 'hi\n');
  });

  await t.test('devices are those of a container, and what was asked for', async () => {
    const script = 'for name in zero kmsg; do true < /d/$name && echo opened; done 2>&1 || true';
    const flags = ['--cap-add', 'SYSLOG', '-v', '/dev:/d'];
    assert.match(await sh(flags, script), /^opened\n.*Operation not permitted/);
    assert.equal(await sh([...flags, '--device', '/dev/kmsg'], script), 'opened\nopened');
  });

  await t.test('ended it leaves nothing', async () => {
    await docker.ok('kill', id);
    await docker.ok('rm', '-f', id);
    assert.equal(existsSync(`${v2Root}/${id}`), false);
    assert.deepEqual(
      readdirSync(v2Root).filter((name) => name.startsWith('wherry-trial-')),
      [],
    );
  });
});

test('cgroup v2: a limit is set, or said to be discarded as dockerd says it', async (t) => {
  const found = await onV2(t);
  if (!found) return;
  await using setup = found.setup;
  const { docker, run } = setup;
  const warned = async (flag: string, field: string) => {
    const made = await docker.run(['create', '--name', 'limited', flag, 'base', 'true']);
    const value = (await docker.ok('inspect', '-f', `{{json .HostConfig.${field}}}`, 'limited')).trim();
    const started = await docker.run(['start', 'limited']);
    await docker.ok('rm', '-f', 'limited');
    return { said: made.stderr.trim(), value, status: started.status };
  };
  const cases = [
    ['memory', '--memory=32m', 'Memory', '33554432', '0', 'memory limit capabilities', 'Limitation'],
    ['pids', '--pids-limit=20', 'PidsLimit', '20', 'null', 'PIDs limit capabilities', 'PIDs limit'],
    ['cpu', '--cpu-shares=100', 'CpuShares', '100', '0', 'CPU shares', 'Shares'],
    ['cpuset', '--cpuset-cpus=0', 'CpusetCpus', '"0"', '""', 'cpuset', 'Cpuset'],
  ] as const;
  for (const [controller, flag, field, kept, empty, what, consequence] of cases) {
    const has: boolean = found.controllers.includes(controller);
    const warning = `WARNING: Your kernel does not support ${what} or the cgroup is not mounted. ${consequence} discarded.`;
    const expected: Awaited<ReturnType<typeof warned>> = {
      said: has ? '' : warning,
      value: has ? kept : empty,
      status: 0,
    };
    assert.deepEqual(await warned(flag, field), expected, flag);
  }
  if (!found.controllers.includes('cpu')) {
    const refused = await run(['--cpus', '1'], ['true']);
    assert.match(refused.stderr, /NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler/);
    const { Warnings } = JSON.parse(await docker.ok('info', '--format', '{{json .}}')) as { Warnings: string[] };
    assert.ok(Warnings.includes('WARNING: No cpu cfs quota support'), String(Warnings));
  }
});
