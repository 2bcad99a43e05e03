import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { baseImageTar } from '../../scripts/base-image.ts';
import { TestDaemon } from '../support/daemon.ts';
import { DockerCli, findDockerCli } from '../support/docker-cli.ts';
import { containerSetup, daemonWords, lines, until } from './containers-fixture.ts';

const numbered = (last: number) => Array.from({ length: last }, (_, at) => `line ${at + 1}`);
const counting = (last: number, pauseMicros = 1000) =>
  `i=0; while [ $i -lt ${last} ]; do i=$((i+1)); echo line $i; usleep ${pauseMicros}; done`;

test('logs', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, daemon } = setup;
  const inspect = async (name: string, format: string) => (await docker.ok('inspect', '-f', format, name)).trim();
  const start = (name: string, flags: readonly string[], script: string) =>
    docker.ok('run', '-d', '--name', name, ...flags, 'base', 'sh', '-c', script);
  const limited = ['--log-opt', 'max-size=5k', '--log-opt', 'max-file=200'];
  const filesOf = async (name: string) =>
    readdirSync(join(daemon.dataRoot, 'containers', await inspect(name, '{{.Id}}'))).filter((file) =>
      file.startsWith('container.log'),
    );

  await t.test('no line is lost or doubled over rotations, followed and read back', async () => {
    await start('many', limited, counting(1500));
    assert.deepEqual(lines(await docker.ok('logs', '-f', 'many')), numbered(1500));
    assert.ok((await filesOf('many')).length > 1);
    assert.deepEqual(lines(await docker.ok('logs', 'many')), numbered(1500));
    assert.deepEqual(lines(await docker.ok('logs', '--tail', '900', 'many')), numbered(1500).slice(-900));
    assert.equal(
      await inspect('many', '{{json .HostConfig.LogConfig}}'),
      '{"Type":"json-file","Config":{"max-file":"200","max-size":"5k"}}',
    );
    await docker.ok('rm', 'many');
  });

  await t.test('nor when the daemon is killed in between', async () => {
    await start('killed', limited, counting(2500));
    for (let kills = 0; kills < 3; kills++) {
      await wait(400);
      await daemon.kill();
      await wait(200);
      await daemon.start();
    }
    await docker.ok('wait', 'killed');
    assert.deepEqual(lines(await docker.ok('logs', 'killed')), numbered(2500));
    await docker.ok('rm', 'killed');
  });

  await t.test('old files go, the newest lines stay', async () => {
    await start('bounded', ['--log-opt', 'max-size=5k', '--log-opt', 'max-file=2'], counting(1500));
    await docker.ok('wait', 'bounded');
    assert.deepEqual((await filesOf('bounded')).sort(), ['container.log', 'container.log.1']);
    const kept = lines(await docker.ok('logs', 'bounded'));
    assert.ok(kept.length < 1500);
    assert.deepEqual(kept, numbered(1500).slice(-kept.length));
    await docker.ok('rm', 'bounded');
  });

  await t.test('a single file is never without the newest lines', async () => {
    await start('single', ['--log-opt', 'max-size=1k'], 'seq 3000; sleep 1000');
    await until(
      () => filesOf('single'),
      (files) => files.length === 2,
    );
    assert.equal(lines(await docker.ok('logs', 'single')).at(-1), '3000');
    await docker.ok('rm', '-f', 'single');
  });

  await t.test('a line of a megabyte, an unfinished one, both ends in time', async () => {
    await start('long', [], 'head -c 1048576 /dev/zero | tr "\\0" x; echo; sleep 1; printf unfinished');
    await docker.ok('wait', 'long');
    const out = await docker.ok('logs', 'long');
    assert.equal(out, `${'x'.repeat(1 << 20)}\nunfinished`);
    const [first = '', last = ''] = (await docker.ok('logs', '-t', 'long'))
      .split('\n')
      .map((line) => line.split(' ')[0]!);
    assert.ok(first < last);
    assert.equal(await docker.ok('logs', '--since', last, 'long'), 'unfinished');
    assert.equal((await docker.ok('logs', '--until', first, 'long')).length, (1 << 20) + 1);
    await docker.ok('rm', 'long');
  });

  await t.test('a line is a line, however it was written: in the tail, and with its time', async () => {
    // 300 bytes to a line: they cross the 8 KiB that are read of a pipe at a time.
    const script = 'i=0; while [ $i -lt 500 ]; do i=$((i+1)); printf "%0300d\n" $i; done >/f; cat /f; printf prompt';
    await start('crossing', [], script);
    await docker.ok('wait', 'crossing');
    const all = Array.from({ length: 500 }, (_, at) => String(at + 1).padStart(300, '0'));
    assert.deepEqual((await docker.ok('logs', 'crossing')).split('\n'), [...all, 'prompt']);
    const tail = await docker.ok('logs', '--tail', '400', 'crossing');
    assert.deepEqual(tail.split('\n'), [...all.slice(-399), 'prompt']);
    const timed = (await docker.ok('logs', '-t', 'crossing')).split('\n');
    assert.deepEqual(
      timed.map((line) => line.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z /, '')),
      [...all, 'prompt'],
    );
    await docker.ok('rm', 'crossing');
  });

  await t.test('a line that has no end is not shown while its process may write it', async () => {
    await start('asking', [], 'printf "name? "; sleep 2; echo given');
    assert.equal(await docker.ok('logs', 'asking'), '');
    assert.equal(await docker.ok('logs', '-f', 'asking'), 'name? given\n');
    await docker.ok('rm', 'asking');
  });

  await t.test('details: labels, environment and a tag', async () => {
    const options = ['labels=a,b', 'env=E', 'tag={{.Name}}/{{.ImageName}}'].flatMap((option) => ['--log-opt', option]);
    await docker.ok('run', '--name', 'told', ...options, '--label', 'a=1 2', '-e', 'E=x', 'base', 'echo', 'hi');
    assert.equal(await docker.ok('logs', '--details', 'told'), 'E=x,a=1+2,tag=told%2Fbase hi\n');
    await docker.ok('rm', 'told');
  });

  await t.test('other drivers, and options that cannot be', async () => {
    await docker.ok('run', '--name', 'local', '--log-driver', 'local', 'base', 'echo', 'hi');
    assert.equal(await docker.ok('logs', 'local'), 'hi\n');
    assert.equal(await inspect('local', '{{.LogPath}}'), '');
    await docker.ok('run', '--name', 'none', '--log-driver', 'none', 'base', 'echo', 'hi');
    assert.match((await docker.run(['logs', 'none'])).stderr, /configured logging driver does not support reading\n$/);
    const words = async (...flags: string[]) => {
      const ran = await docker.run(['run', '--rm', ...flags, 'base', 'true'], { input: '' });
      assert.equal(ran.status, 125, flags.join(' '));
      return daemonWords(docker, ran);
    };
    const begin = 'failed to create task for container: failed to initialize logging driver: ';
    assert.equal(await words('--log-opt', 'bogus=1'), "unknown log opt 'bogus' for json-file log driver");
    assert.equal(await words('--log-opt', 'max-size=abc'), `${begin}invalid size: 'abc'`);
    assert.equal(await words('--log-opt', 'max-file=0'), `${begin}max-file cannot be less than 1`);
    assert.match(
      await words('--log-driver', 'bogus'),
      /error looking up logging plugin bogus: plugin "bogus" not found$/,
    );
    await docker.ok('rm', 'local', 'none');
  });
});

test('the daemon’s driver and options are those of containers that name none', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const cli = findDockerCli();
  assert.ok('path' in cli);
  const file = join(setup.folder, 'daemon.json');
  await writeFile(file, JSON.stringify({ 'log-driver': 'local', 'log-opts': { 'max-size': '1m' } }));
  await using daemon = await TestDaemon.start({ flags: ['--config-file', file] });
  const docker = new DockerCli(cli.path, daemon.host, join(setup.folder, 'other'));
  assert.equal(await docker.ok('info', '-f', '{{.LoggingDriver}}'), 'local\n');
  assert.match(await docker.ok('info'), /Container Logs: 1 MB × 5 each\n/);
  assert.match(await setup.docker.ok('info'), /Container Logs: 100 MB × 3 each\n/);
  assert.equal((await docker.run(['import', '-', 'base'], { input: baseImageTar() })).status, 0);
  await docker.ok('create', '--name', 'plain', 'base', 'true');
  await docker.ok('create', '--name', 'own', '--log-driver', 'json-file', 'base', 'true');
  const config = (name: string) => docker.ok('inspect', '-f', '{{json .HostConfig.LogConfig}}', name);
  assert.equal(await config('plain'), '{"Type":"local","Config":{"max-size":"1m"}}\n');
  assert.equal(await config('own'), '{"Type":"json-file","Config":{}}\n');
  await until(
    () => docker.run(['rm', 'plain', 'own']),
    ({ status }) => status === 0,
  );
  await assert.rejects(TestDaemon.start({ flags: ['--log-opt', 'bogus=1'] }), /unknown log opt 'bogus' for json-file/);
});
