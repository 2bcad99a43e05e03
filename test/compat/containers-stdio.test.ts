import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { findDockerCli } from '../support/docker-cli.ts';
import { containerSetup, lines, notFoundWords, until } from './containers-fixture.ts';

test('standard streams', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { daemon, docker, run } = setup;

  await t.test('stdout and stderr stay apart; -a chooses', async () => {
    const both = ['sh', '-c', 'echo out; echo err >&2'];
    const ran = await run([], both);
    assert.deepEqual([ran.stdout, ran.stderr], ['out\n', 'err\n']);
    const chosen = await run(['-a', 'stderr'], both);
    assert.deepEqual([chosen.stdout, chosen.stderr], ['', 'err\n']);
  });

  await t.test('-i hands over everything and half-closes; without it there is no input', async () => {
    const big = 'x'.repeat(3_000_000);
    assert.equal((await run(['-i'], ['wc', '-c'], big)).stdout, '3000000\n');
    assert.equal((await run([], ['cat'], 'lost')).stdout, '');
    const ran = await run(['-i'], ['sh', '-c', 'read x; echo got $x; cat; exit 6'], 'one\ntwo\n');
    assert.deepEqual([ran.status, ran.stdout], [6, 'got one\ntwo\n']);
  });

  await t.test('create -i, start -ai; attach to what runs', async () => {
    await docker.ok('create', '-i', '--name', 'fed', 'base', 'cat');
    const fed = await docker.run(['start', '-ai', 'fed'], { input: 'hello\n' });
    assert.deepEqual([fed.status, fed.stdout], [0, 'hello\n']);
    await docker.ok('run', '-d', '--name', 'talks', 'base', 'sh', '-c', 'sleep 1; echo late; exit 3');
    const attached = await docker.run(['attach', 'talks']);
    assert.deepEqual([attached.status, attached.stdout], [3, 'late\n']);
    await docker.ok('rm', 'fed', 'talks');
  });

  await t.test('a terminal: one stream, its size, its exit code', async () => {
    const cli = findDockerCli();
    assert.ok('path' in cli);
    const command = `stty rows 33 cols 99; ${cli.path} run --rm -it base sh -c 'sleep 0.3; stty size; tty; echo $TERM; exit 4'`;
    const env = { ...process.env, DOCKER_HOST: daemon.host, TERM: 'xterm' };
    const ran = spawnSync('script', ['-qec', command, '/dev/null'], {
      env,
      encoding: 'utf8',
      input: '',
      timeout: 30_000,
    });
    assert.equal(ran.status, 4, ran.stdout);
    assert.match(ran.stdout, /33 99\r\n\/dev\/(pts\/0|console)\r\n/);
    const plain = await run(['-t'], ['sh', '-c', 'echo out; echo err >&2']);
    assert.deepEqual([plain.stdout, plain.stderr], ['out\r\nerr\r\n', '']);
  });

  await t.test('logs: both streams, tail, since, timestamps, follow', async () => {
    await docker.ok(
      'run',
      '--name',
      'logged',
      'base',
      'sh',
      '-c',
      'for i in 1 2 3; do echo o$i; sleep 0.05; done; printf e >&2',
    );
    const all = await docker.run(['logs', 'logged']);
    assert.deepEqual([all.stdout, all.stderr], ['o1\no2\no3\n', 'e']);
    assert.equal((await docker.run(['logs', '--tail', '2', 'logged'])).stdout, 'o3\n');
    assert.match(
      await docker.ok('logs', '-t', '--tail', '2', 'logged'),
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z o3\n$/,
    );
    assert.equal(await docker.ok('logs', '--details', 'logged'), ' o1\n o2\n o3\n');
    assert.equal(await docker.ok('logs', '--since', '2099-01-01', 'logged'), '');
    assert.equal(lines(await docker.ok('logs', '--since', '10m', 'logged')).length, 3);
    await docker.ok(
      'run',
      '-d',
      '--name',
      'followed',
      'base',
      'sh',
      '-c',
      'for i in 1 2 3; do echo $i; sleep 0.2; done',
    );
    assert.equal(await docker.ok('logs', '-f', 'followed'), '1\n2\n3\n');
    await docker.ok('rm', 'logged', 'followed');
  });

  await t.test('exec: streams, user, folder, environment, exit codes', async () => {
    await docker.ok('run', '-d', '--name', 'host', '-e', 'A=1', '-w', '/tmp', 'base', 'sleep', '100');
    const exec = (...args: string[]) => docker.run(['exec', ...args]);
    assert.equal((await docker.run(['exec', '-i', 'host', 'cat'], { input: 'in' })).stdout, 'in');
    assert.equal(
      (await exec('-u', '1:2', '-w', '/etc', '-e', 'A=2', 'host', 'sh', '-c', 'id -u; id -g; pwd; echo $A')).stdout,
      '1\n2\n/etc\n2\n',
    );
    const apart = await exec('host', 'sh', '-c', 'pwd; echo $A >&2; exit 9');
    assert.deepEqual(apart, { status: 9, stdout: '/tmp\n', stderr: '1\n' });
    for (let i = 0; i < 10; i++) assert.equal((await exec('host', 'sh', '-c', 'exit 9')).status, 9);
    assert.equal((await exec('host', 'nosuch')).status, 127);
    assert.equal((await exec('host', 'sh', '-c', 'kill -9 $$')).status, 137);
    assert.equal((await exec('-t', 'host', 'tty')).stdout, '/dev/pts/0\r\n');
    const stranger = await exec('-u', 'nosuch', 'host', 'id');
    assert.deepEqual(
      [stranger.status, stranger.stderr],
      [1, 'Error response from daemon: unable to find user nosuch: no matching entries in passwd file\n'],
    );
    assert.equal((await exec('-d', 'host', 'touch', '/tmp/made')).status, 0);
    await until(
      () => exec('host', 'test', '-e', '/tmp/made'),
      ({ status }) => status === 0,
    );
    const limited = ['--ulimit', 'nofile=99:99', '--cap-drop', 'ALL'];
    await docker.ok('run', '-d', '--name', 'limited', ...limited, 'base', 'sleep', '100');
    const seen = 'ulimit -n; grep CapEff /proc/self/status';
    assert.equal((await exec('limited', 'sh', '-c', seen)).stdout, '99\nCapEff:\t0000000000000000\n');
    await docker.ok('rm', '-f', 'limited');
    await docker.ok('pause', 'host');
    assert.match((await exec('host', 'true')).stderr, /Container host is paused, unpause the container before exec/);
    await docker.ok('rm', '-f', 'host');
    const gone = 'No such container: host';
    assert.equal((await exec('host', 'true')).stderr, `${notFoundWords(docker, gone, gone)}\n`);
  });
});
