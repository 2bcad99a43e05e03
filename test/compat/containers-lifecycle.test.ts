import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { HttpClient, parseHost } from '#http';
import { readAll } from '#streams';
import { containerSetup, lines, notFoundWords, until } from './containers-fixture.ts';

test('the life of a container', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, daemon, folder } = setup;
  const fails = async (args: readonly string[], message: string | RegExp) => {
    const { status, stderr } = await docker.run(args);
    assert.equal(status, 1, args.join(' '));
    const said = lines(stderr)[0]!.replace('Error response from daemon: ', '');
    if (typeof message === 'string') assert.equal(said, message);
    else assert.match(said, message);
  };
  const inspect = async (name: string, format: string) => (await docker.ok('inspect', '-f', format, name)).trim();
  const sleeping = (name: string, ...flags: string[]) =>
    docker.ok('run', '-d', '--name', name, ...flags, 'base', 'sleep', '100');

  await t.test('stop, kill, wait, restart, start', async () => {
    await docker.ok(
      'run',
      '-d',
      '--name',
      'trap',
      'base',
      'sh',
      '-c',
      'trap "exit 5" TERM; echo up; while :; do sleep 0.1; done',
    );
    await until(
      () => docker.ok('logs', 'trap'),
      (text) => text === 'up\n',
    );
    await docker.ok('stop', 'trap');
    assert.equal(await inspect('trap', '{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}'), 'exited 5 0');
    await docker.ok('start', 'trap');
    await docker.ok('restart', '-t', '0', 'trap');
    await docker.ok('kill', 'trap');
    assert.equal(await docker.ok('wait', 'trap'), '137\n');
    await fails(['kill', 'trap'], /^cannot kill container: trap: container [0-9a-f]{64} is not running$/);
    await fails(['kill', '-s', 'BOGUS', 'trap'], 'cannot kill container: trap: invalid signal: BOGUS');
    await docker.ok('stop', 'trap');
    await docker.ok('start', 'trap');
    // Before 23 the CLI stopped with no other signal than the container's.
    if (!docker.olderThan(23)) {
      await fails(['stop', '-s', 'BOGUS', 'trap'], 'cannot stop container: trap: invalid signal: BOGUS');
      await fails(['restart', '-s', 'BOGUS', 'trap'], 'Cannot restart container trap: invalid signal: BOGUS');
    }
    await docker.ok('rm', '-f', 'trap');
    await fails(['start', 'trap'], 'No such container: trap');
    await sleeping('slow', '--stop-timeout', '1', '--stop-signal', 'USR1');
    await docker.ok('stop', 'slow');
    assert.equal(
      await inspect('slow', '{{.State.ExitCode}} {{.Config.StopTimeout}} {{.Config.StopSignal}}'),
      '137 1 USR1',
    );
    await docker.ok('rm', 'slow');
  });

  await t.test('pause, rename, remove: what is allowed when', async () => {
    await sleeping('one');
    await docker.ok('pause', 'one');
    assert.match(await docker.ok('ps', '--format', '{{.Names}} {{.Status}}'), /^one Up .* \(Paused\)\n$/);
    await fails(['pause', 'one'], /^Container [0-9a-f]{64} is already paused$/);
    await fails(['rm', 'one'], 'cannot remove container "one": container is paused and must be unpaused first');
    await docker.ok('unpause', 'one');
    await fails(['unpause', 'one'], /is not paused$/);
    await fails(
      ['rm', 'one'],
      'cannot remove container "one": container is running: stop the container before removing or force remove',
    );
    await docker.ok('create', '--name', 'two', 'base', 'true');
    await fails(
      ['rename', 'two', 'one'],
      /^Error when allocating new name: Conflict\. The container name "\/one" is already in use by container "[0-9a-f]{64}"/,
    );
    await docker.ok('rename', 'one', 'three');
    await fails(['inspect', 'one'], /[nN]o such object: one/);
    await docker.ok('rm', '-f', 'three', 'two');
  });

  await t.test('ps: filters, sizes, command', async () => {
    await sleeping('ps1', '-l', 'a=b');
    await docker.ok('create', '--name', 'ps2', '--expose', '80', 'base', 'true');
    await docker.run(['run', '--name', 'ps3', '--network', 'none', 'base', 'sh', '-c', 'echo 12345 > /f; exit 4']);
    const names = async (...filters: string[]) =>
      lines(
        await docker.ok('ps', '-a', '--format', '{{.Names}}', ...filters.flatMap((filter) => ['--filter', filter])),
      );
    const expected: readonly (readonly [string, string[]])[] = [
      ['name=ps', ['ps3', 'ps2', 'ps1']],
      ['name=^/ps1$', ['ps1']],
      ['status=created', ['ps2']],
      ['status=exited', ['ps3']],
      ['exited=4', ['ps3']],
      ['label=a', ['ps1']],
      ['label=a=c', []],
      ['ancestor=base', ['ps3', 'ps2', 'ps1']],
      ['network=none', ['ps3']],
      ['since=ps2', ['ps3']],
      ['before=ps2', ['ps1']],
      ['expose=80', ['ps2']],
      ['health=none', ['ps3', 'ps2', 'ps1']],
    ];
    for (const [filter, found] of expected) assert.deepEqual(await names(filter), found, filter);
    assert.deepEqual(lines(await docker.ok('ps', '--format', '{{.Names}}')), ['ps1']);
    assert.deepEqual(lines(await docker.ok('ps', '-n', '2', '--format', '{{.Names}}')), ['ps3', 'ps2']);
    assert.equal(
      await docker.ok('ps', '-a', '--filter', 'name=ps3', '--no-trunc', '--format', '{{.Command}}'),
      '"sh -c \'echo 12345 > /f; exit 4\'"\n',
    );
    assert.match(await docker.ok('ps', '-as', '--filter', 'name=ps3', '--format', '{{.Size}}'), /^6B \(virtual /);
    await fails(
      ['ps', '--filter', 'status=bogus'],
      "invalid filter 'status=bogus': invalid value for state (bogus): must be one of created, running, paused, restarting, removing, exited, dead",
    );
    await fails(['ps', '--filter', 'bogus=1'], "invalid filter 'bogus'");
    await docker.ok('rm', '-f', 'ps1', 'ps2', 'ps3');
  });

  await t.test('diff, commit, cp, export, top', async () => {
    await docker.ok('run', '--name', 'work', 'base', 'sh', '-c', 'echo x > /etc/new; rm /bin/vi; mkdir -p /d/e');
    assert.deepEqual(lines(await docker.ok('diff', 'work')).sort(), [
      'A /d',
      'A /d/e',
      'A /etc/new',
      'C /bin',
      'C /etc',
      'D /bin/vi',
    ]);
    await docker.ok(
      'commit',
      '-m',
      'msg',
      '-a',
      'me',
      '-c',
      'ENV Q=1',
      '-c',
      'CMD ["cat","/etc/new"]',
      'work',
      'made:1',
    );
    assert.equal(await docker.ok('run', '--rm', 'made:1'), 'x\n');
    assert.equal(
      await inspect('made:1', '{{.Comment}} {{.Author}} {{json .Config.Cmd}} {{index .Config.Env 0}}'),
      'msg me ["cat","/etc/new"] Q=1',
    );
    await fails(['commit', '-c', 'RUN x', 'work'], /^RUN is not a valid change command$/);
    const archive = join(folder, 'root.tar');
    await docker.ok('export', '-o', archive, 'work');
    const members = lines(spawnSync('tar', ['tf', archive], { encoding: 'utf8', maxBuffer: 16 << 20 }).stdout);
    assert.ok(members.includes('etc/new') && !members.includes('bin/vi'));
    const file = join(folder, 'f');
    await writeFile(file, 'data\n');
    await docker.ok('cp', file, 'work:/d/e');
    await docker.ok('cp', 'work:/d/e/f', join(folder, 'back'));
    assert.equal(spawnSync('cat', [join(folder, 'back')], { encoding: 'utf8' }).stdout, 'data\n');
    const missing = await docker.run(['cp', 'work:/nosuch', folder]);
    assert.equal(missing.status, 1);
    assert.equal(
      missing.stderr,
      `${notFoundWords(docker, 'Could not find the file /nosuch in container work', 'No such container:path: work:/nosuch')}\n`,
    );
    await docker.ok('rm', 'work');
    await docker.ok('rmi', 'made:1');
    await sleeping('busy');
    const top = lines(await docker.ok('top', 'busy', '-o', 'pid,args'));
    assert.equal(top.length, 2);
    assert.match(top[1]!, /^\d+ +sleep 100$/);
    await fails(['top', 'busy', 'bogus'], /^ps: error: /);
    await docker.ok('rm', '-f', 'busy');
  });

  await t.test('a failed start: recorded, removable, and told to who waits', async () => {
    await docker.ok('create', '--name', 'bad', 'base', 'nosuch');
    await fails(['start', 'bad'], /executable file not found in \$PATH$/);
    assert.equal(await docker.ok('wait', 'bad'), '127\n');
    assert.match(
      await inspect('bad', '{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}'),
      /^created 127 .*not found in \$PATH$/,
    );
    await docker.ok('rm', 'bad');
  });

  await t.test('over the API: execs go with their container, and a commit joins two configurations', async () => {
    const api = new HttpClient(parseHost(daemon.host));
    const ask = async (method: string, path: string, body?: object) => {
      const headers = { 'Content-Type': 'application/json' };
      const response = await api.request({ method, path, headers, ...(body && { body: JSON.stringify(body) }) });
      const text = (await readAll(response.body, 1 << 20, 'answer')).toString();
      return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
    };
    const create = (HostConfig: object) =>
      ask('POST', '/containers/create?name=refused', { Image: 'base', Cmd: ['true'], HostConfig });
    const mismatched = [{ Type: 'volume', Target: '/q', BindOptions: { Propagation: 'rslave' } }];
    assert.equal(
      (await create({ Mounts: mismatched })).body.message,
      'BindOptions must not be specified on mount type "volume"',
    );
    assert.equal((await create({ Annotations: { '': '1' } })).status, 400);
    assert.equal((await create({ Dns: ['x'] })).status, 201);
    await fails(['start', 'refused'], /^bad nameserver address x$/);
    await docker.ok('rm', 'refused');
    await sleeping('api', '-e', 'Q=1', '-e', 'R=2', '-l', 'x=y', '-w', '/w', '-p', '80', '--entrypoint', 'env');
    const exec = await ask('POST', '/containers/api/exec', { Cmd: ['true'] });
    await ask('POST', `/exec/${exec.body.Id}/start`, { Detach: true });
    assert.equal((await ask('GET', `/exec/${exec.body.Id}/json`)).status, 200);
    assert.equal((await ask('POST', '/containers/api/unpause')).status, 500);
    assert.deepEqual(await ask('POST', '/containers/api/exec', { Cmd: ['true'], DetachKeys: 'no' }), {
      status: 500,
      body: { message: 'Invalid escape keys (no) provided' },
    });
    const waiting = await ask('POST', '/containers/api/exec', { Cmd: ['true'] });
    await docker.ok('pause', 'api');
    assert.equal((await ask('POST', `/exec/${waiting.body.Id}/start`, {})).status, 409);
    await docker.ok('unpause', 'api');

    const given = { Env: ['Z=1', 'Q=2'], Labels: { a: 'b' }, ExposedPorts: { '44/tcp': {} }, Entrypoint: ['e'] };
    assert.equal((await ask('POST', '/commit?container=api&repo=joined', given)).status, 201);
    const { Config } = JSON.parse(await docker.ok('image', 'inspect', 'joined'))[0];
    assert.deepEqual(Config.Env.slice(0, 3), ['Z=1', 'Q=2', 'R=2']);
    assert.deepEqual([Config.Labels.a, Config.Labels.x, Config.WorkingDir], ['b', 'y', '/w']);
    assert.deepEqual(Object.keys(Config.ExposedPorts), ['44/tcp', '80/tcp']);
    assert.deepEqual([Config.Entrypoint, Config.Cmd], [['e'], null]);
    await docker.ok('rm', '-f', 'api');
    for (const { body } of [exec, waiting]) assert.equal((await ask('GET', `/exec/${body.Id}/json`)).status, 404);
    await docker.ok('rmi', 'joined');
  });

  await t.test('events tell the whole story in order', async () => {
    const since = String(Math.floor(Date.now() / 1000));
    await docker.ok('run', '--name', 'told', '-v', 'kept:/v', 'base', 'true');
    await docker.ok('start', 'told');
    await docker.ok('wait', 'told');
    await sleeping('execs');
    await docker.ok('exec', 'execs', 'true');
    await docker.ok('rm', '-f', 'told', 'execs');
    await docker.ok('volume', 'rm', 'kept');
    const events = async (...filters: string[]) =>
      lines(
        await docker.ok(
          'events',
          '--since',
          since,
          '--until',
          String(Math.ceil(Date.now() / 1000)),
          '--format',
          '{{.Type}} {{.Action}}',
          ...filters.flatMap((filter) => ['--filter', filter]),
        ),
      );
    const cycle = ['container start', 'container die'];
    const told = await events('container=told', 'type=container');
    assert.deepEqual(told, ['container create', 'container attach', ...cycle, ...cycle, 'container destroy']);
    assert.deepEqual(await events('volume=kept'), [
      'volume create',
      'volume mount',
      'volume unmount',
      'volume mount',
      'volume unmount',
      'volume destroy',
    ]);
    assert.deepEqual(await events('container=execs', 'type=container'), [
      'container create',
      'container start',
      'container exec_create: true ',
      'container exec_start: true ',
      'container exec_die',
      'container kill',
      'container die',
      'container destroy',
    ]);
  });

  await t.test('prune', async () => {
    await docker.ok('create', '--name', 'old1', '-l', 'mine', 'base', 'true');
    await docker.ok('create', '--name', 'old2', 'base', 'true');
    assert.match(
      await docker.ok('container', 'prune', '-f', '--filter', 'label=mine'),
      /^Deleted Containers:\n[0-9a-f]{64}\n\nTotal reclaimed space: 0B\n$/,
    );
    assert.equal(await docker.ok('ps', '-a', '--format', '{{.Names}}'), 'old2\n');
    assert.match(await docker.ok('system', 'prune', '-f'), /Deleted Containers:\n[0-9a-f]{64}/);
    assert.equal(await docker.ok('ps', '-aq'), '');
  });
});
