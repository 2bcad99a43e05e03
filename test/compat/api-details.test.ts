/** What clients of the API meet at its edges, held against what dockerd answers there. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { apiOf } from './api-fixture.ts';
import { containerSetup, lines, until } from './containers-fixture.ts';

test('the edges of the API', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, daemon } = setup;
  const ask = apiOf(daemon.host);
  const sleeping = (name: string, ...flags: string[]) =>
    docker.ok('run', '-d', '--name', name, ...flags, 'base', 'sleep', '100');
  const createExec = async (container: string, ...Cmd: string[]): Promise<string> =>
    (await ask('POST', `/containers/${container}/exec`, { Cmd })).body.Id;
  /** A piece of work causes these events, `type action` each, and no others. */
  const tells = async (work: () => Promise<unknown>, expected: readonly string[]) => {
    const since = (Date.now() / 1000).toFixed(3);
    await work();
    const events = async () => {
      const { text } = await ask('GET', `/events?since=${since}&until=${(Date.now() / 1000).toFixed(3)}`);
      return lines(text).map((line) => JSON.parse(line));
    };
    // The last of them may come after the answer.
    const told = await until(events, ({ length }) => length >= expected.length);
    assert.deepEqual(
      told.map(({ Type, Action }) => `${Type} ${Action}`),
      expected,
    );
  };

  await t.test('an end is told once the network and the volumes are free', async () => {
    await sleeping('ends', '-v', 'ends:/v');
    const released = ['network disconnect', 'volume unmount'];
    await tells(
      () => docker.ok('rm', '-f', 'ends'),
      ['container kill', ...released, 'container die', 'container destroy'],
    );
  });

  await t.test('a stopped container’s port is free as soon as the stop is answered', async () => {
    const port = '18491';
    await sleeping('first', '-p', `127.0.0.1:${port}:80`);
    await docker.ok('create', '--name', 'second', '-p', `127.0.0.1:${port}:80`, 'base', 'sleep', '100');
    for (const [from, to] of [
      ['first', 'second'],
      ['second', 'first'],
      ['first', 'second'],
    ]) {
      assert.equal((await ask('POST', `/containers/${from}/stop?t=0`)).status, 204);
      const { status, text } = await ask('POST', `/containers/${to}/start`);
      assert.deepEqual([status, text], [204, '']);
    }
    await docker.ok('rm', '-f', 'first', 'second');
  });

  await t.test('cp has a container’s volumes mounted while it works', async () => {
    await docker.ok('create', '--name', 'copied', '-v', 'copied:/v', 'base', 'true');
    const path = '/containers/copied/archive?path=/v';
    await tells(() => ask('HEAD', path), ['volume mount', 'volume unmount']);
    await tells(() => ask('GET', path), ['volume mount', 'container archive-path', 'volume unmount']);
    await docker.ok('rm', 'copied');
  });

  await t.test('events are found by the beginning of a name or an ID, whatever they are of', async () => {
    const since = Math.floor(Date.now() / 1000);
    await sleeping('fuzzy', '-v', 'fuzzyvolume:/v');
    const { Id } = (await ask('GET', '/containers/fuzzy/json')).body;
    await docker.ok('rm', '-f', 'fuzzy');
    const found = async (filter: object) => {
      const query = `since=${since}&until=${Math.ceil(Date.now() / 1000)}&filters=${encodeURIComponent(JSON.stringify(filter))}`;
      return lines((await ask('GET', `/events?${query}`)).text).map((line) => {
        const { Type, Action } = JSON.parse(line);
        return `${Type} ${Action}`;
      });
    };
    const own = ['container create', 'container start', 'container kill', 'container die', 'container destroy'];
    assert.deepEqual(await found({ container: [Id] }), own);
    assert.deepEqual(await found({ container: ['fuzz'], type: ['container'] }), own);
    assert.deepEqual(await found({ container: ['uzzy'] }), []);
    const ofVolume = ['volume create', 'volume mount', 'volume unmount'];
    assert.deepEqual(await found({ volume: ['fuzzyv'] }), ofVolume);
    assert.deepEqual(await found({ container: ['fuzzyv'] }), ofVolume);
    await docker.ok('volume', 'rm', 'fuzzyvolume');
  });

  await t.test('lists of nothing', async () => {
    assert.deepEqual((await ask('POST', '/volumes/prune')).body, { VolumesDeleted: [], SpaceReclaimed: 0 });
    await docker.ok('create', '--name', 'same', 'base', 'true');
    assert.equal((await ask('GET', '/containers/same/changes')).body, null);
    await docker.ok('rm', 'same');
  });

  await t.test('a commit makes an image', async () => {
    await docker.ok('create', '--name', 'source', '-l', 'a=b', 'base', 'true');
    await tells(() => docker.ok('commit', 'source', 'made'), ['image create', 'image tag', 'container commit']);
    await docker.ok('rm', 'source');
    await docker.ok('rmi', 'made');
  });

  await t.test('a failed start is told without a connect, as nothing came of it', async () => {
    await docker.ok('create', '--name', 'fails', '-v', 'fails:/v', 'base', 'nosuch');
    const told = ['volume mount', 'network disconnect', 'volume unmount'];
    await tells(() => ask('POST', '/containers/fails/start'), told);
    await docker.ok('rm', 'fails');
    await docker.ok('volume', 'rm', 'fails');
  });

  await t.test('who waits for the next exit sleeps through a start that fails', async () => {
    await docker.ok('create', '--name', 'bad', 'base', 'nosuch');
    let answered = false;
    const waiting = ask('POST', '/containers/bad/wait?condition=next-exit').then((answer) => {
      answered = true;
      return answer;
    });
    assert.equal((await ask('POST', '/containers/bad/start')).status, 400);
    assert.equal((await ask('GET', '/containers/bad/json')).body.State.ExitCode, 127);
    assert.equal(answered, false);
    await docker.ok('rm', 'bad');
    assert.equal((await waiting).body.StatusCode, 127);
  });

  await t.test('sizes: nothing to do without a terminal, and an exec may be told its own before it runs', async () => {
    await sleeping('sized');
    assert.equal((await ask('POST', '/containers/sized/resize?h=10&w=20')).status, 200);
    const plain = await createExec('sized', 'sleep', '100');
    await ask('POST', `/exec/${plain}/start`, { Detach: true });
    assert.equal((await ask('POST', `/exec/${plain}/resize?h=10&w=20`)).status, 200);
    const terminal = (await ask('POST', '/containers/sized/exec', { Tty: true, Cmd: ['sleep', '100'] })).body.Id;
    const resized = ask('POST', `/exec/${terminal}/resize?h=10&w=20`);
    await ask('POST', `/exec/${terminal}/start`, { Detach: true, Tty: true });
    assert.equal((await resized).status, 200);
    const bad = await createExec('sized', 'nosuch');
    const early = ask('POST', `/exec/${bad}/resize?h=10&w=20`);
    await ask('POST', `/exec/${bad}/start`, { Detach: true });
    const { status, body } = await early;
    assert.deepEqual([status, body], [400, { message: 'exec process is not started' }]);
    await docker.ok('rm', '-f', 'sized');
  });

  await t.test('execs that never ran go with the run they were made for', async () => {
    await sleeping('runs');
    const [used, unused] = [await createExec('runs', 'true'), await createExec('runs', 'true')];
    await ask('POST', `/exec/${used}/start`, { Detach: true });
    await until(
      () => ask('GET', `/exec/${used}/json`),
      ({ body }) => body.ExitCode === 0,
    );
    await docker.ok('stop', '-t', '0', 'runs');
    assert.equal((await ask('GET', `/exec/${used}/json`)).status, 200);
    assert.equal((await ask('GET', `/exec/${unused}/json`)).status, 404);
    assert.deepEqual((await ask('GET', '/containers/runs/json')).body.ExecIDs, null);
    await docker.ok('start', 'runs');
    await createExec('runs', 'true');
    await docker.ok('rm', '-f', 'runs');
  });

  await t.test('what cannot be run says why, with a terminal and without', async () => {
    const fails = async (args: readonly string[], status: number, words: RegExp) => {
      const ran = await docker.run(args);
      assert.equal(ran.status, status, args.join(' '));
      assert.match(ran.stdout + ran.stderr, words);
    };
    await sleeping('host', '--oom-score-adj', '300');
    const notFound = /OCI runtime exec failed: exec failed: .*: exec: "nosuch": executable file not found in \$PATH/;
    await fails(['exec', 'host', 'nosuch'], 127, notFound);
    await fails(['exec', '-t', 'host', 'nosuch'], 127, notFound);
    await fails(['exec', '-t', 'host', '/bin'], 126, /exec: "\/bin": is a directory: permission denied/);
    await fails(
      ['exec', '-w', '/etc/hosts', 'host', 'true'],
      127,
      /chdir to cwd .*: not a directory: Are you trying to/,
    );
    assert.equal(await docker.ok('exec', 'host', 'cat', '/proc/self/oom_score_adj'), '300\n');
    await docker.ok('rm', '-f', 'host');
    const run = (...args: string[]) => ['run', '--rm', ...args];
    await fails(run('base', ''), 127, /exec: "": executable file not found in \$PATH/);
    await fails(run('-w', '/etc/hosts', 'base', 'true'), 125, /daemon: Cannot mkdir: \/etc\/hosts is not a directory/);
    await fails(run('-v', '/tmp:/etc/hosts/x', 'base', 'true'), 125, /daemon: failed to create task for container: /);
    await fails(run('--cpu-shares', '1', 'base', 'true'), 125, /the minimum allowed cpu-shares is 2/);
    await fails(run('--cpu-shares', '262145', 'base', 'true'), 125, /the maximum allowed cpu-shares is 262144/);
  });

  await t.test('what a container is told to remember, and where its files are', async () => {
    const kept = { OnBuild: ['RUN true'], Shell: ['ash', '-c'] };
    assert.equal(
      (await ask('POST', '/containers/create?name=told', { Image: 'base', Cmd: ['true'], ...kept })).status,
      201,
    );
    const { Config } = (await ask('GET', '/containers/told/json')).body;
    assert.deepEqual([Config.OnBuild, Config.Shell], [kept.OnBuild, kept.Shell]);
    await docker.ok('rm', 'told');
    await sleeping('files');
    await docker.ok('exec', 'files', 'touch', '/made');
    const { Data } = (await ask('GET', '/containers/files/json')).body.GraphDriver;
    for (const key of ['MergedDir', 'UpperDir']) assert.ok(existsSync(join(Data[key], 'made')), key);
    const lower: string[] = Data.LowerDir.split(':');
    assert.ok(
      lower.some((folder) => existsSync(join(folder, 'bin/sh'))) && lower.every((folder) => existsSync(folder)),
    );
    const image = (await ask('GET', '/images/base/json')).body.GraphDriver.Data;
    assert.ok(existsSync(join(image.UpperDir, 'bin/sh')));
    await docker.ok('kill', 'files');
    await docker.ok('wait', 'files');
    assert.deepEqual((await ask('GET', '/containers/files/json')).body.GraphDriver.Data, Data, 'mounted or not');
    await docker.ok('rm', '-f', 'files');
    assert.equal(existsSync(Data.UpperDir), true, 'an undo would bring it back');
    await ask('DELETE', '/wherry/v1/trash');
    assert.equal(existsSync(Data.UpperDir), false);
  });

  await t.test('no body is an empty one', async () => {
    const refusal = async (path: string) => (await ask('POST', path)).body.message;
    assert.equal(await refusal('/containers/nosuch/rename'), 'Neither old nor new names may be empty');
    assert.equal(await refusal('/containers/nosuch/exec'), 'No exec command specified');
    assert.equal(await refusal('/networks/create'), 'invalid name: name is empty');
    assert.equal((await ask('POST', '/networks/create', { Name: ' ' })).body.message, 'invalid name: name is empty');
    assert.equal(await refusal('/networks/nosuch/connect'), 'invalid name or ID supplied: ""');
    const { status, body } = await ask('POST', '/volumes/create');
    assert.deepEqual([status, body.Labels], [201, { 'com.docker.volume.anonymous': '' }]);
    await docker.ok('volume', 'rm', body.Name);
  });

  await t.test('what cannot be created', async () => {
    const create = async (body: object) => (await ask('POST', '/containers/create?name=refused', body)).body.message;
    assert.equal(await create({ Image: '' }), 'no command specified');
    const base = { Image: 'base', Cmd: ['true'] };
    const inNetwork = (settings: object) => ({ ...base, NetworkingConfig: { EndpointsConfig: { bridge: settings } } });
    assert.equal(
      await create({ ...base, HostConfig: { NetworkMode: 'container:' } }),
      'invalid network mode: invalid container format container:<name|id>',
    );
    const badMac = 'invalid config for network bridge: invalid MAC address zz';
    assert.equal(await create({ ...base, MacAddress: 'zz' }), badMac);
    assert.equal(await create(inNetwork({ MacAddress: 'zz' })), badMac);
    assert.match(await create(inNetwork({ Aliases: ['x'] })), /network-scoped alias is supported only for containers/);
    const created = await ask('POST', '/containers/create?name=mac', { ...base, MacAddress: '02:42:aa:00:00:01' });
    assert.match(created.body.Warnings.join(), /^The container-wide MacAddress field is now deprecated/);
    await docker.ok('rm', 'mac');
  });
});
