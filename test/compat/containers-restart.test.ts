import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { containerSetup, lines, until } from './containers-fixture.ts';

test('restart policies', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, daemon } = setup;
  const inspect = async (name: string, format: string) => (await docker.ok('inspect', '-f', format, name)).trim();
  const stateOf = (name: string) => inspect(name, '{{.State.Status}} {{.RestartCount}}');
  const start = (name: string, policy: string, script: string, ...flags: string[]) =>
    docker.ok('run', '-d', '--name', name, '--restart', policy, ...flags, 'base', 'sh', '-c', script);
  const reaches = (name: string, state: string) =>
    until(
      () => stateOf(name),
      (now) => now === state,
    );
  const runs = (name: string) =>
    until(
      () => stateOf(name),
      (now) => now.startsWith('running'),
    );
  const logged = async (name: string) => lines(await docker.ok('logs', name)).length;
  const actions = async (name: string) =>
    lines(
      await docker.ok(
        ...['events', '--since', '5m', '--until=-1s', '--format', '{{.Action}}'],
        ...['--filter', `container=${name}`, '--filter', 'type=container'],
      ),
    );

  await t.test('on-failure starts again as often as it says, and a wait ends with each run', async () => {
    const { stdout, status } = await docker.run(
      ['run', '--name', 'fails', '--restart', 'on-failure:2', 'base', 'sh', '-c', 'echo run; exit 3'],
      { input: '' },
    );
    assert.deepEqual([stdout, status], ['run\n', 3]);
    await reaches('fails', 'exited 2');
    assert.equal(await docker.ok('wait', 'fails'), '3\n');
    assert.equal(await logged('fails'), 3);
    assert.deepEqual(
      (await actions('fails')).filter((action) => action === 'start' || action === 'die'),
      ['start', 'die', 'start', 'die', 'start', 'die'],
    );
    await docker.ok('start', 'fails');
    await reaches('fails', 'exited 2');
    assert.equal(await logged('fails'), 6);
    await start('well', 'on-failure', 'exit 0');
    await docker.ok('wait', 'well');
    assert.equal(await stateOf('well'), 'exited 0');
    await docker.ok('rm', 'fails', 'well');
  });

  await t.test('between two runs it is restarting, and says so', async () => {
    await start('loops', 'always', 'exit 5');
    // Its delay is long enough by now for what follows.
    await until(
      () => stateOf('loops'),
      (now) => /^restarting ([5-9]|\d\d)$/.test(now),
    );
    const id = await inspect('loops', '{{.Id}}');
    assert.match(await docker.ok('ps', '--format', '{{.State}} {{.Status}}'), /^restarting Restarting \(5\) .* ago\n$/);
    assert.equal(await inspect('loops', '{{.State.Running}} {{.State.Restarting}} {{.State.Pid}}'), 'true true 0');
    assert.equal(lines(await docker.ok('ps', '-q', '--filter', 'status=restarting')).length, 1);
    const refused = async (...args: string[]) => (await docker.run(args)).stderr.replace(/^Error.*daemon: |\n/g, '');
    const restarting = `Container ${id} is restarting, wait until the container is running`;
    assert.equal(await refused('exec', 'loops', 'true'), restarting);
    assert.equal(await refused('pause', 'loops'), restarting);
    assert.equal(await refused('top', 'loops'), restarting);
    assert.equal(
      await refused('rm', 'loops'),
      'cannot remove container "loops": container is restarting: stop the container before removing or force remove',
    );
    await docker.ok('stop', 'loops');
    assert.match(await stateOf('loops'), /^exited \d+$/);
    assert.deepEqual((await actions('loops')).slice(-2), ['die', 'stop']);
    await docker.ok('rm', 'loops');
  });

  await t.test(
    'what is stopped or killed stays so; a restart, and --rm under it, does not lose the container',
    async () => {
      await start('stopped', 'always', 'sleep 100');
      await docker.ok('stop', '-t', '0', 'stopped');
      await start('hung', 'always', 'trap "exit 4" HUP; while :; do sleep 0.1; done');
      await wait(300);
      await docker.ok('kill', '-s', 'HUP', 'hung');
      await docker.ok('wait', 'hung');
      await start('killed', 'unless-stopped', 'sleep 100');
      await docker.ok('kill', 'killed');
      await wait(500);
      assert.deepEqual(await Promise.all(['stopped', 'hung', 'killed'].map(stateOf)), [
        'exited 0',
        'exited 0',
        'exited 0',
      ]);
      await docker.ok('restart', 'stopped');
      await runs('stopped');
      await docker.ok('rm', '-f', 'stopped', 'hung', 'killed');
      await docker.ok('run', '-d', '--rm', '--name', 'brief', 'base', 'sleep', '100');
      await docker.ok('restart', '-t', '0', 'brief');
      assert.equal(await stateOf('brief'), 'running 0');
      await docker.ok('stop', '-t', '0', 'brief');
      await until(
        () => docker.ok('ps', '-aq', '--filter', 'name=brief'),
        (ids) => ids === '',
      );
    },
  );

  await t.test('policies that cannot be', async () => {
    const create = async (policy: string) =>
      (await docker.run(['create', '--restart', policy, 'base', 'true'])).stderr.split('\n', 1)[0];
    assert.match((await create('always:3'))!, /maximum retry count can only be used with 'on-failure'|cannot be used/);
    assert.match(
      (await create('bogus'))!,
      /invalid restart policy: unknown policy 'bogus'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'$/,
    );
  });

  await t.test('across the daemon: what died meanwhile, what it stopped, and what was stopped by hand', async () => {
    await start('dies', 'on-failure', 'echo run; sleep 0.5; exit 9');
    await start('lives', 'always', 'sleep 100');
    await start('delayed', 'on-failure:9', 'echo run; exit 8');
    await until(
      () => stateOf('delayed'),
      (now) => /^restarting [4-9]$/.test(now),
    );
    await start('hand', 'unless-stopped', 'sleep 100');
    await docker.ok('stop', '-t', '0', 'hand');
    await start('always', 'always', 'sleep 100');
    await docker.ok('stop', '-t', '0', 'always');
    await docker.ok('run', '-d', '--name', 'none', 'base', 'sleep', '100');
    const pid = await inspect('lives', '{{.State.Pid}}');
    const [before, count] = [await logged('dies'), await logged('delayed')];
    await daemon.kill();
    await wait(700);
    await daemon.start();
    assert.equal(await inspect('lives', '{{.State.Pid}} {{.RestartCount}}'), `${pid} 0`);
    assert.equal(await stateOf('hand'), 'exited 0');
    await runs('always');
    await until(
      () => logged('dies'),
      (now) => now > before,
    );
    await until(
      () => logged('delayed'),
      (now) => now > count,
    );
    await daemon.stop();
    await daemon.start();
    assert.equal(await stateOf('none'), 'exited 0');
    assert.equal(await stateOf('hand'), 'exited 0');
    await Promise.all([runs('lives'), runs('always')]);
    assert.notEqual(await inspect('lives', '{{.State.Pid}}'), pid);
  });
});
