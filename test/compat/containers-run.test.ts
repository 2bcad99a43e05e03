import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerSetup, daemonWords, lines } from './containers-fixture.ts';

test('docker run', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, run, sh } = setup;
  const failure = async (flags: readonly string[], command: readonly string[]) => {
    const ran = await run(flags, command);
    return { status: ran.status, message: daemonWords(docker, ran) };
  };

  await t.test(
    'exit codes: the command’s, 125, 126, 127, 137, 143; a failed start leaves nothing and ends the client',
    async () => {
      assert.equal((await run([], ['sh', '-c', 'exit 7'])).status, 7);
      const trapped = await run([], ['sh', '-c', 'trap "exit 143" TERM; kill -TERM $$; sleep 5']);
      assert.equal(trapped.status, 143);
      const absent = await failure([], ['nosuch']);
      assert.equal(absent.status, 127);
      assert.match(absent.message, /exec: "nosuch": executable file not found in \$PATH$/);
      const folder = await failure([], ['/etc']);
      assert.equal(folder.status, 126);
      assert.match(folder.message, /exec: "\/etc": is a directory: permission denied$/);
      assert.deepEqual(await failure(['-u', 'nosuch'], ['id']), {
        status: 125,
        message: 'unable to find user nosuch: no matching entries in passwd file',
      });
      assert.equal(await docker.ok('ps', '-aq'), '');
    },
  );

  await t.test('environment, folder, user, groups, entrypoint', async () => {
    assert.deepEqual(
      lines(await sh(['-e', 'A=1', '-e', 'A=2', '-e', 'PATH=/bin'], 'env | sort | grep -v -e HOSTNAME -e SHLVL')),
      ['A=2', 'HOME=/root', 'PATH=/bin', 'PWD=/'],
    );
    assert.equal(await sh(['-w', '/made/deep'], 'pwd'), '/made/deep');
    assert.equal((await run(['-w', 'rel'], ['pwd'])).status, 125);
    assert.equal(await sh(['-u', 'nobody'], 'id -u; id -g; echo $HOME'), '65534\n65534\n/');
    assert.equal(
      await sh(['-u', '5:6', '--group-add', '77', '--group-add', 'nogroup'], 'id -u; id -g; id -G'),
      '5\n6\n6 77 65534',
    );
    assert.equal((await run(['--entrypoint', '/bin/echo'], ['a', 'b'])).stdout, 'a b\n');
  });

  await t.test('names: hostname, domain, hosts, resolv.conf', async () => {
    assert.equal(
      await sh(
        ['--hostname', 'h1', '--domainname', 'ex.org'],
        'hostname; cat /etc/hostname; cat /proc/sys/kernel/domainname',
      ),
      'h1\nh1\nex.org',
    );
    const hosts = await sh(
      ['--hostname', 'h1', '--add-host', 'q:1.2.3.4', '--add-host', 'g:host-gateway'],
      'cat /etc/hosts',
    );
    assert.match(hosts, /^127\.0\.0\.1\tlocalhost$/m);
    assert.match(hosts, /^1\.2\.3\.4\tq$/m);
    assert.match(hosts, /^\d+\.\d+\.\d+\.1\tg$/m);
    assert.match(hosts, /^\d+\.\d+\.\d+\.\d+\th1$/m);
    const own = async (...flags: string[]) =>
      lines(await sh(flags, 'cat /etc/hosts'))
        .at(-1)
        ?.split('\t')[1];
    assert.equal(await own('--hostname', 'a.b.c'), 'a.b.c a');
    assert.equal(await own('--hostname', 'a', '--domainname', 'b.c'), 'a.b.c a');
    assert.equal(await own('--hostname', 'a.b', '--domainname', 'c'), 'a.b.c a');
    const resolv = await sh(
      ['--dns', '9.9.9.9', '--dns-search', 'x.y', '--dns-option', 'ndots:2'],
      'cat /etc/resolv.conf',
    );
    assert.deepEqual(
      lines(resolv).filter((line) => !line.startsWith('#')),
      ['nameserver 9.9.9.9', 'search x.y', 'options ndots:2'],
    );
  });

  await t.test('capabilities, privileges, seccomp, masked paths', async () => {
    const status = (flags: readonly string[], field: string) =>
      sh(flags, `sed -n 's/^${field}:[[:space:]]*//p' /proc/self/status`);
    assert.equal(await status([], 'CapEff'), '00000000a80425fb');
    assert.equal(await status(['--cap-drop', 'ALL', '--cap-add', 'net_admin'], 'CapEff'), '0000000000001000');
    assert.equal(await status(['--cap-drop', 'ALL'], 'CapBnd'), '0000000000000000');
    assert.equal(await status(['-u', '1000'], 'CapEff'), '0000000000000000');
    const own = await status(['--privileged'], 'CapBnd');
    assert.equal(await status(['--cap-add', 'ALL'], 'CapBnd'), own);
    assert.equal(
      (await failure(['--cap-add', 'bogus'], ['true'])).message,
      'invalid CapAdd: unknown capability: "CAP_BOGUS"',
    );
    assert.equal(await status([], 'Seccomp'), '2');
    assert.equal(await status(['--security-opt', 'seccomp=unconfined'], 'Seccomp'), '0');
    assert.equal(await status(['--privileged'], 'Seccomp'), '0');
    assert.equal(await status(['--security-opt', 'no-new-privileges'], 'NoNewPrivs'), '1');
    assert.equal(
      await sh(
        [],
        'cat /proc/keys | wc -c; ls /proc/scsi | wc -l; echo x 2>/dev/null > /proc/sys/kernel/domainname || echo ro',
      ),
      '0\n0\nro',
    );
    const refused = await failure(['--security-opt', 'bogus=1'], ['true']);
    assert.deepEqual(refused, { status: 125, message: 'invalid --security-opt 2: "bogus=1"' });
  });

  await t.test('limits reach the kernel and survive inspect', async () => {
    const flags = [
      '-m',
      '64m',
      '--memory-reservation',
      '32m',
      '--cpus',
      '0.5',
      '--cpu-shares',
      '512',
      '--pids-limit',
      '77',
    ];
    await docker.ok(
      'run',
      '-d',
      '--name',
      'limits',
      ...flags,
      '--ulimit',
      'nofile=100:200',
      '--oom-score-adj',
      '5',
      'base',
      'sleep',
      '100',
    );
    const show = '{{.Memory}} {{.MemorySwap}} {{.MemoryReservation}} {{.NanoCpus}} {{.CpuShares}} {{.PidsLimit}}';
    assert.equal(
      await docker.ok('inspect', '-f', `{{with .HostConfig}}${show} {{json .Ulimits}}{{end}}`, 'limits'),
      '67108864 134217728 33554432 500000000 512 77 [{"Hard":200,"Name":"nofile","Soft":100}]\n',
    );
    const read = (...files: string[]) =>
      docker.ok('exec', 'limits', 'sh', '-c', files.map((file) => `cat ${file} 2>/dev/null`).join('||'));
    const group = '/sys/fs/cgroup';
    assert.equal(await read(`${group}/memory/memory.limit_in_bytes`, `${group}/memory.max`), '67108864\n');
    assert.equal(await read(`${group}/pids/pids.max`, `${group}/pids.max`), '77\n');
    assert.match(await read(`${group}/cpu/cpu.cfs_quota_us`, `${group}/cpu.max`), /^50000\b/);
    assert.equal(await docker.ok('exec', 'limits', 'cat', '/proc/1/oom_score_adj'), '5\n');
    assert.match(await docker.ok('exec', 'limits', 'grep', 'Max open files', '/proc/1/limits'), /100 +200/);
    await docker.ok('rm', '-f', 'limits');
    const refusals: readonly (readonly [string[], string])[] = [
      [['-m', '1m'], 'Minimum memory limit allowed is 6MB'],
      [['-m', '64m', '--memory-swap', '32m'], 'Minimum memoryswap limit should be larger than memory limit, see usage'],
      [['--cpu-shares', '-1'], 'invalid CPU shares (-1): value must be a positive integer'],
      [['--cpuset-cpus', 'bogus'], 'Invalid value bogus for cpuset cpus: invalid format: bogus'],
      [['--stop-signal', 'bogus'], 'invalid signal: bogus'],
      [['--tmpfs', '/t:bogus'], 'invalid tmpfs option "bogus"'],
    ];
    for (const [wrong, message] of refusals) assert.deepEqual(await failure(wrong, ['true']), { status: 125, message });
  });

  await t.test('an out-of-memory kill is recorded', async () => {
    const { status } = await docker.run([
      'run',
      '--name',
      'oom',
      '-m',
      '16m',
      'base',
      'sh',
      '-c',
      'head -c 100m /dev/zero | tail',
    ]);
    assert.notEqual(status, 0);
    assert.equal(await docker.ok('inspect', '-f', '{{.State.OOMKilled}}', 'oom'), 'true\n');
    await docker.ok('rm', 'oom');
  });

  await t.test('sysctls, shared memory, read-only root, tmpfs', async () => {
    assert.equal(await sh(['--sysctl', 'net.ipv4.ip_forward=1'], 'cat /proc/sys/net/ipv4/ip_forward'), '1');
    assert.match(await sh(['--shm-size', '1m'], 'df -k /dev/shm | tail -1'), / 1024 /);
    assert.equal(
      await sh(['--read-only', '--tmpfs', '/t'], 'touch /x 2>/dev/null || echo ro; touch /t/x && echo rw'),
      'ro\nrw',
    );
    const mounted = await sh(
      ['--tmpfs', '/t:size=1m,mode=700,uid=5,exec'],
      'grep " /t " /proc/mounts; stat -c %a,%u /t',
    );
    assert.match(mounted, /^tmpfs \/t tmpfs rw,nosuid,nodev,relatime,size=1024k,mode=700,uid=5 0 0\n700,5$/);
  });

  await t.test('what is not honoured yet is refused by name', async () => {
    const { status, message } = await failure(
      ['--network', 'name=bridge,driver-opt=com.docker.network.endpoint.bogus=b'],
      ['true'],
    );
    assert.equal(status, 125);
    const field = 'NetworkingConfig.EndpointsConfig[bridge].DriverOpts';
    assert.ok(message.startsWith(`${field} is not supported yet: got `), message);
  });
});
