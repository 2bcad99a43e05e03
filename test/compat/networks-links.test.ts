import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { containerSetup, daemonWords, lines, until } from './containers-fixture.ts';
import { home } from './images-fixture.ts';

test('links on the default bridge', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, daemon, run, sh } = setup;
  const sleeper = (name: string, ...flags: string[]) =>
    docker.ok('run', '-d', '--name', name, ...flags, 'base', 'sleep', '1000');
  const inside = async (container: string, script: string) =>
    (await docker.ok('exec', container, 'sh', '-c', script)).trim();
  const inspect = async (container: string) => JSON.parse(await docker.ok('inspect', container))[0];
  const addressOf = async (container: string) => (await inspect(container)).NetworkSettings.IPAddress as string;
  const linksOf = async (container: string) => (await inspect(container)).HostConfig.Links;
  const refused = async (...flags: string[]) => daemonWords(docker, await run(flags, ['true']));
  const refusal = async (...args: string[]) => {
    const { status, stderr } = await docker.run(args);
    assert.equal(status, 1, args.join(' '));
    return stderr.split('\n', 1)[0]!.replace('Error response from daemon: ', '');
  };
  const names = async () =>
    lines(await docker.ok('ps', '-a', '--no-trunc', '--format', '{{.Names}}')).map((line) =>
      line.split(',').sort().join(','),
    );

  await t.test('lines in hosts and variables, for the first process and for an exec', async () => {
    await sleeper('db', '-e', 'FOO=bar', '-e', 'PATH=/bin', '--expose', '81/udp', '--expose', '80-81');
    const address = await addressOf('db');
    const id = (await inspect('db')).Id.slice(0, 12);
    await sleeper('web', '--link', 'db:my-db', '--link', 'db');
    const hosts = await inside('web', 'cat /etc/hosts');
    assert.match(hosts, new RegExp(`^${address}\tmy-db ${id} db\n${address}\tdb ${id}$`, 'm'));
    const expected = [
      `MY_DB_PORT=tcp://${address}:80`,
      `MY_DB_PORT_80_TCP=tcp://${address}:80`,
      `MY_DB_PORT_80_TCP_ADDR=${address}`,
      'MY_DB_PORT_80_TCP_PORT=80',
      'MY_DB_PORT_80_TCP_PROTO=tcp',
      `MY_DB_PORT_81_TCP=tcp://${address}:81`,
      `MY_DB_PORT_81_TCP_ADDR=${address}`,
      'MY_DB_PORT_81_TCP_PORT=81',
      'MY_DB_PORT_81_TCP_PROTO=tcp',
      `MY_DB_PORT_81_UDP=udp://${address}:81`,
      `MY_DB_PORT_81_UDP_ADDR=${address}`,
      'MY_DB_PORT_81_UDP_PORT=81',
      'MY_DB_PORT_81_UDP_PROTO=udp',
      `MY_DB_PORT_80_TCP_START=tcp://${address}:80`,
      'MY_DB_PORT_80_TCP_PORT_START=80',
      `MY_DB_PORT_80_TCP_END=tcp://${address}:81`,
      'MY_DB_PORT_80_TCP_PORT_END=81',
      'MY_DB_NAME=/web/my-db',
      'MY_DB_ENV_FOO=bar',
    ];
    const ofLink = (env: string) => lines(env).filter((line) => line.startsWith('MY_DB_'));
    assert.deepEqual(ofLink(await inside('web', "tr '\\0' '\\n' </proc/1/environ")).sort(), expected.sort());
    assert.deepEqual(ofLink(await docker.ok('exec', 'web', 'env')).sort(), expected.sort());
    assert.match(await inside('web', 'ping -c 1 -w 5 my-db'), / 0% packet loss/);
    assert.equal(await sh(['-e', 'DB_NAME=own', '--link', 'db'], 'echo $DB_NAME'), 'own');
  });

  await t.test('inspect and lists know the names', async () => {
    assert.deepEqual((await linksOf('web')).sort(), ['/db:/web/db', '/db:/web/my-db']);
    assert.equal((await inspect('web')).NetworkSettings.Networks.bridge.Links, null);
    assert.equal(await linksOf('db'), null);
    assert.deepEqual(await names(), ['web', 'db,web/db,web/my-db']);
    assert.equal((await inspect('web/my-db')).Name, '/db');
    assert.equal(await docker.ok('ps', '-q', '--filter', 'name=my-db'), '');
  });

  await t.test('names follow a rename of either', async () => {
    await docker.ok('rename', 'db', 'data');
    await docker.ok('rename', 'web', 'site');
    assert.deepEqual((await linksOf('site')).sort(), ['/data:/site/db', '/data:/site/my-db']);
    assert.deepEqual(await names(), ['site', 'data,site/db,site/my-db']);
    assert.equal(await inside('site', 'echo $MY_DB_NAME'), '/site/my-db');
  });

  await t.test('who is linked to learns of another address', async () => {
    await docker.ok('stop', '-t', '0', 'data');
    assert.match(
      await refusal('exec', 'site', 'true'),
      /^Cannot link to a non running container: \/data AS \/site\/(my-)?db$/,
    );
    await sleeper('taker');
    await docker.ok('start', 'data');
    const address = await addressOf('data');
    assert.notEqual(address, await addressOf('taker'));
    assert.match(await inside('site', 'cat /etc/hosts'), new RegExp(`^${address}\tmy-db \\w{12} data$`, 'm'));
    assert.equal(lines(await inside('site', 'grep my-db /etc/hosts')).length, 1);
    assert.match(await inside('site', 'ping -c 1 -w 5 my-db'), / 0% packet loss/);
    assert.equal(await inside('site', 'echo $MY_DB_PORT_80_TCP_ADDR'), address);
  });

  await t.test('a killed daemon knows them again', async () => {
    await daemon.kill();
    await daemon.start();
    assert.deepEqual((await linksOf('site')).sort(), ['/data:/site/db', '/data:/site/my-db']);
    assert.match(await inside('site', 'ping -c 1 -w 5 my-db'), / 0% packet loss/);
  });

  await t.test('rm --link forgets a link and keeps the containers', async () => {
    assert.equal(await docker.ok('rm', '--link', 'site/my-db'), 'site/my-db\n');
    assert.deepEqual(await linksOf('site'), ['/data:/site/db']);
    assert.doesNotMatch(await inside('site', 'cat /etc/hosts; env'), /my-db|MY_DB/);
    assert.equal(
      await refusal('rm', '--link', 'site'),
      'Conflict, cannot remove the default link name of the container',
    );
    const absent = docker.olderThan(25) ? 'Error: No such container: site/no' : 'No such container: site/no';
    assert.equal(await refusal('rm', '--link', 'site/no'), absent);
    assert.equal(
      await refusal('rm', 'site/db'),
      'cannot remove container "site/db": container is running: stop the container before removing or force remove',
    );
  });

  await t.test('what cannot be linked to is refused in Docker’s words', async () => {
    assert.equal(await refused('--link', 'nosuch:x'), 'could not get container for nosuch: No such container: nosuch');
    await docker.ok('create', '--name', 'stopped', 'base', 'true');
    await docker.ok('create', '--name', 'lonely', '--link', 'stopped:x', 'base', 'true');
    const { stderr } = await docker.run(['start', 'lonely']);
    assert.match(stderr, /Cannot link to a non running container: \/stopped AS \/lonely\/x/);
    const { State } = await inspect('lonely');
    assert.deepEqual(
      [State.Status, State.ExitCode, State.Error],
      ['created', 128, 'Cannot link to a non running container: /stopped AS /lonely/x'],
    );
    const onHost =
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior";
    // Older CLIs refuse that themselves.
    if (!docker.olderThan(28)) assert.equal(await refused('--network', 'host', '--link', 'data:x'), onHost);
    await sleeper('hosty', '--network', 'host');
    assert.equal(await refused('--link', 'hosty:x'), onHost);
    await docker.ok('network', 'create', 'other');
    await sleeper('away', '--network', 'other');
    assert.match(await refused('--link', 'away:x'), /^container [0-9a-f]{64} not attached to default bridge network$/);
    if (docker.olderThan(28)) return;
    assert.equal(await sh(['--network', 'none', '--link', 'data:x'], 'env | grep X_ || echo none'), 'none');
  });

  await t.test('a link to who shares another’s network is to that one', async () => {
    await sleeper('joined', '--network', 'container:data');
    await sleeper('third', '--link', 'joined:j');
    assert.deepEqual(await linksOf('third'), ['/data:/third/j']);
  });

  await t.test('the names go with either', async () => {
    await docker.ok('rm', '-f', 'third');
    assert.ok((await names()).includes('data,site/db'));
    await docker.ok('rm', '-f', 'joined', 'data');
    assert.deepEqual(await linksOf('site'), ['/data:/site/db'], 'the name it had last');
    assert.match(
      await refusal('restart', '-t', '0', 'site'),
      /Cannot link to a non running container: \/data AS \/site\/db/,
    );
  });
});

test('linked containers come back in the order of their links', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, daemon } = setup;
  const sleeper = (name: string, ...flags: string[]) =>
    docker.ok('run', '-d', '--name', name, '--restart', 'always', ...flags, 'base', 'sleep', '1000');
  await sleeper('one');
  await sleeper('two', '--link', 'one');
  await sleeper('three', '--link', 'two');
  await daemon.stop();
  await daemon.start();
  assert.deepEqual(lines(await docker.ok('ps', '--format', '{{.Names}}')).sort(), ['one', 'three', 'two']);
  assert.match(await docker.ok('exec', 'three', 'ping', '-c', '1', '-w', '5', 'two'), / 0% packet loss/);
});

test('links open what is exposed where containers may not speak to each other', async (t) => {
  await using setup = await containerSetup(t, ['--icc=false']);
  if (!setup) return;
  const { docker, daemon } = setup;
  const serving = 'mkdir /w; cd /w; echo hello >index.html; httpd -p 80; httpd -p 81; exec sleep 1000';
  const serve = (name: string, ...flags: string[]) =>
    docker.ok('run', '-d', '--name', name, ...flags, 'base', 'sh', '-c', serving);
  const addressOf = async (container: string) =>
    JSON.parse(await docker.ok('inspect', container))[0].NetworkSettings.IPAddress as string;
  const asks = async (from: string, to: string, port = 80) => {
    const url = `http://${await addressOf(to)}:${port}/`;
    return (await docker.run(['exec', from, 'timeout', '2', 'wget', '-q', '-O', '-', url])).stdout.trim();
  };
  const verified = () =>
    spawnSync(join(home, 'bin/wherryd'), ['verify', '--data-root', daemon.dataRoot], { encoding: 'utf8' }).stdout;
  await serve('db', '--expose', '80');
  await serve('web', '--link', 'db');
  await serve('apart');

  await t.test('to those who linked, and of those to nobody', async () => {
    await until(
      () => docker.run(['exec', 'db', 'wget', '-q', '-O', '-', 'http://127.0.0.1/']),
      ({ status }) => status === 0,
    );
    assert.equal(await docker.ok('exec', 'web', 'timeout', '2', 'wget', '-q', '-O', '-', 'http://db/'), 'hello\n');
    assert.equal(await asks('web', 'db', 81), '', 'not exposed');
    assert.equal(await asks('apart', 'db'), '', 'not linked');
    assert.equal(await asks('db', 'web'), '', 'linked the other way');
    const viaHost = `ip route add ${await addressOf('db')} via $(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'); timeout 2 wget -q -O - http://${await addressOf('db')}/; true`;
    const forced = await docker.run(['run', '--rm', '--cap-add', 'NET_ADMIN', 'base', 'sh', '-c', viaHost]);
    assert.equal(forced.stdout, '', 'not by the host either');
  });

  await t.test('wherever they are now', async () => {
    await docker.ok('stop', '-t', '0', 'db');
    await docker.ok('run', '-d', '--name', 'instead', 'base', 'sleep', '1000');
    await docker.ok('start', 'db');
    assert.equal(await asks('web', 'db'), 'hello');
    await daemon.kill();
    await daemon.start();
    assert.equal(await asks('web', 'db'), 'hello');
    assert.equal(await asks('apart', 'db'), '');
    await docker.ok('restart', '-t', '0', 'web');
    assert.equal(await asks('web', 'db'), 'hello');
    assert.equal(verified(), '');
  });

  await t.test('until the link is forgotten, or who had it is gone', async () => {
    await docker.ok('rm', '--link', 'web/db');
    assert.equal(await asks('web', 'db'), '');
    await docker.ok('run', '-d', '--name', 'second', '--link', 'db', 'base', 'sleep', '1000');
    assert.equal(await asks('second', 'db'), 'hello');
    await docker.ok('rm', '-f', 'second', 'instead');
    assert.equal(verified(), '');
  });
});
