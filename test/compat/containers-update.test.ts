import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { containerSetup, until } from './containers-fixture.ts';

/** What a container's cgroup says of its limits, by either version's files. */
const limits = `cd /sys/fs/cgroup
for f in memory.max memory/memory.limit_in_bytes pids.max pids/pids.max cpu.weight cpu/cpu.shares cpuset.cpus cpuset/cpuset.cpus; do
  [ -e $f ] && echo "$(basename $f) $(cat $f)"
done; true`;

test('limits and policies of containers change while they run', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker } = setup;
  const inspect = async (format: string) => (await docker.ok('inspect', '-f', format, 'box')).trim();
  const refused = async (...flags: string[]) => {
    const { status, stderr } = await docker.run(['update', ...flags, 'box']);
    assert.equal(status, 1, flags.join(' '));
    return stderr
      .trim()
      .replace('Error response from daemon: ', '')
      .replace(/[0-9a-f]{64}/, 'ID');
  };
  const v1 = existsSync('/sys/fs/cgroup/memory');
  const seen = async () =>
    Object.fromEntries((await docker.ok('exec', 'box', 'sh', '-c', limits)).split('\n').map((line) => line.split(' ')));
  await docker.ok('run', '-d', '--name', 'box', '-m', '64m', 'base', 'sleep', '1000');

  await t.test('live, and in the record', async () => {
    assert.equal(await docker.ok('update', '-m', '100m', '--memory-swap', '200m', 'box'), 'box\n');
    await docker.ok('update', '--pids-limit', '50', '--cpu-shares', '512', '--cpuset-cpus', '0', 'box');
    const now = await seen();
    assert.equal(now[v1 ? 'memory.limit_in_bytes' : 'memory.max'], String(100 << 20));
    assert.equal(now['pids.max'], '50');
    assert.equal(now['cpuset.cpus'], '0');
    assert.equal(now[v1 ? 'cpu.shares' : 'cpu.weight'], v1 ? '512' : '20');
    assert.equal(
      await inspect(
        '{{with .HostConfig}}{{.Memory}} {{.MemorySwap}} {{.PidsLimit}} {{.CpuShares}} {{.CpusetCpus}}{{end}}',
      ),
      `${100 << 20} ${200 << 20} 50 512 0`,
    );
    await docker.ok('update', '--pids-limit', '-1', 'box');
    assert.equal((await seen())['pids.max'], 'max');
    await docker.ok('update', '--pids-limit', '30', 'box');
    await docker.ok('restart', '-t', '0', 'box');
    assert.equal((await seen())['pids.max'], '30');
    assert.equal((await seen())['cpuset.cpus'], '0');
    const events = await docker.ok(
      ...['events', '--since', '5m', '--until=-1s', '--filter', 'event=update', '--format', '{{.Action}}'],
    );
    assert.equal(events, 'update\n'.repeat(4));
  });

  await t.test('what cannot be, in dockerd’s words', async () => {
    const cannot = 'Cannot update container ID: ';
    assert.equal(
      await refused('-m', '500m'),
      `${cannot}Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time`,
    );
    assert.equal(await refused('-m', '1m'), 'Minimum memory limit allowed is 6MB');
    assert.match(
      await refused('--cpuset-cpus', '999'),
      /^Requested CPUs are not available - requested 999, available: /,
    );
    if (v1) {
      const bound = (fact: string) => `${cannot}runc did not terminate successfully: exit status 1: the ${fact}`;
      assert.equal(await refused('--cpu-shares', '1'), bound('minimum allowed cpu-shares is 2'));
      assert.equal(await refused('--cpu-shares', '262145'), bound('maximum allowed cpu-shares is 262144'));
      assert.equal(await inspect('{{.HostConfig.CpuShares}}'), '512');
    }
    await docker.ok('update', '--cpus', '0.5', 'box');
    const conflicting = `${cannot}Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set`;
    assert.equal(await refused('--cpu-quota', '50000'), conflicting);
    assert.match(await refused('--restart', 'bogus'), /invalid restart policy: unknown policy 'bogus'; use one of /);
    assert.equal(await inspect('{{.HostConfig.Memory}}'), String(100 << 20));
    await docker.ok('create', '--rm', '--name', 'brief', 'base', 'true');
    const { stderr } = await docker.run(['update', '--restart', 'always', 'brief']);
    assert.match(stderr, /Restart policy cannot be updated because AutoRemove is enabled for the container\n$/);
    assert.match((await docker.run(['update', '-m', '50m', 'nosuch'])).stderr, /No such container: nosuch\n$/);
  });

  await t.test('a policy given later starts it again', async () => {
    await docker.ok('run', '-d', '--name', 'later', 'base', 'sh', '-c', 'sleep 1; exit 1');
    await docker.ok('update', '--restart', 'on-failure:2', 'later');
    await until(
      () => docker.ok('inspect', '-f', '{{.State.Status}} {{.RestartCount}}', 'later'),
      (now) => now === 'exited 2\n',
    );
  });
});
