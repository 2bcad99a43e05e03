/** The `wherry` commands beside the docker CLI's of the same name, on one daemon: words, columns, order, statuses. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { requireRoot, temporaryFolder } from '#testing';
import { baseImageTar } from '../../scripts/base-image.ts';
import { TestDaemon } from '../support/daemon.ts';
import { DockerCli, findDockerCli } from '../support/docker-cli.ts';

const program = join(import.meta.dirname, '..', '..', 'bin/wherry');

interface Said {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function wherryOn(host: string) {
  return (args: readonly string[]): Promise<Said> =>
    new Promise((resolve) => {
      execFile(program, ['-H', host, ...args], (error, stdout, stderr) => {
        resolve({ status: Number(error?.code ?? 0), stdout, stderr });
      });
    });
}

/** Asked in turn, of a state that no call changes. */
const asked = [
  'top web',
  'top web -o pid,comm',
  'port web',
  'port web 80',
  'port web 81/udp',
  'port web 99',
  'network ls',
  'network ls -q',
  'network ls --no-trunc -f driver=bridge',
  'network inspect net bridge',
  'network inspect nosuch net',
  'start nosuch',
  'start web',
  'start -a web nosuch',
  'kill nosuch',
  'kill -s BAD web',
  'kill -s USR1 web',
  'wait nosuch',
  'wait ended',
  'start -a ended',
  'rename nosuch x',
  'pause nosuch',
  'unpause web',
  'restart nosuch',
  'update nosuch',
  'update -m 10m nosuch',
  'update --memory 64m --memory-swap 128m web',
  'network connect nosuch x',
  'network disconnect bridge nosuch',
  'network rm bridge',
  'network rm -f nosuch',
  'network create bridge',
  'network create --subnet x y',
  'network create --subnet 10.1.0.0/16 --gateway 10.2.0.1 y',
  'network create --subnet 10.1.0.0/16 --subnet 10.1.2.0/24 y',
  'network create --subnet 10.1.0.0/16 --ip-range 10.1.1.0/24 --subnet 10.3.0.0/16 --ip-range 10.1.2.0/24 y',
  'network create --ip-range 10.1.0.0/24 y',
  'create --pull never nosuchimage',
];

test('commands answer as those of the docker CLI do', async (t) => {
  if (!requireRoot(t)) return;
  const cli = findDockerCli();
  if ('missing' in cli) return t.skip(cli.missing);
  await using folder = await temporaryFolder();
  await using daemon = await TestDaemon.start();
  const docker = new DockerCli(cli.path, daemon.host, folder.path);
  const wherry = wherryOn(daemon.host);
  await docker.ok('import', await baseIn(folder.path), 'base');
  const subnet = ['--subnet', '10.211.0.0/16', '--ip-range', '10.211.5.0/24', '--aux-address', 'h=10.211.0.20'];
  const made = await wherry(['network', 'create', ...subnet, '--label', 'a=b', '--gateway', '10.211.0.9', 'net']);
  assert.equal(made.status, 0, made.stderr);
  await docker.ok('run', '-d', '--name', 'web', '-p', '80', '-p', '127.0.0.1::81/udp', 'base', 'sleep', '600');
  const created = await wherry(['create', '--name', 'ended', 'base', 'sh', '-c', 'echo out; echo err >&2; exit 3']);
  assert.match(created.stdout, /^[0-9a-f]{64}\n$/);
  assert.equal((await wherry(['start', 'ended'])).stdout, 'ended\n');
  assert.equal((await docker.ok('wait', 'ended')).trim(), '3');

  for (const line of asked) {
    const theirs = await docker.run(line.split(' '));
    const ours = await wherry(line.split(' '));
    const wanted = { ...theirs, stderr: theirs.stderr.replace(/^exit status 1\n/m, '') };
    assert.deepEqual(ours, { status: wanted.status, stdout: wanted.stdout, stderr: wanted.stderr }, line);
  }
  const until = String(Math.ceil(Date.now() / 1000) + 1);
  const span = ['--since', String(Number(until) - 120), '--until', until];
  assert.equal((await wherry(['events', ...span])).stdout, await docker.ok('events', ...span));
});

test('states and networks change as they are told to', async (t) => {
  if (!requireRoot(t)) return;
  const cli = findDockerCli();
  if ('missing' in cli) return t.skip(cli.missing);
  await using folder = await temporaryFolder();
  await using daemon = await TestDaemon.start();
  const docker = new DockerCli(cli.path, daemon.host, folder.path);
  const wherry = wherryOn(daemon.host);
  const does = async (line: string, stdout = '') => {
    const said = await wherry(line.split(' '));
    assert.deepEqual(said, { status: 0, stdout, stderr: '' }, line);
  };
  const shows = async (format: string, name: string) => (await docker.ok('inspect', '-f', format, name)).trim();
  await docker.ok('import', await baseIn(folder.path), 'base');
  await docker.ok('network', 'create', '--subnet', '10.212.0.0/16', 'net');
  await docker.ok('run', '-d', '--name', 'web', 'base', 'sleep', '600');
  await does('pause web', 'web\n');
  assert.equal(await shows('{{.State.Status}}', 'web'), 'paused');
  await does('unpause web', 'web\n');
  const before = await shows('{{.State.Pid}}', 'web');
  await does('restart -t 0 web', 'web\n');
  assert.notEqual(await shows('{{.State.Pid}}', 'web'), before);
  await does('update --pids-limit 50 --restart on-failure:2 web', 'web\n');
  assert.equal(await shows('{{.HostConfig.PidsLimit}} {{.HostConfig.RestartPolicy}}', 'web'), '50 {on-failure 2}');
  await does('network connect --ip 10.212.0.7 --alias other net web');
  assert.match(await shows('{{json .NetworkSettings.Networks.net}}', 'web'), /"other".*"IPAddress":"10\.212\.0\.7"/);
  await does('network disconnect net web');
  await does('rename web site');
  await does('kill site', 'site\n');
  await does('wait site', '137\n');
  const stats = (await wherry(['stats', '--no-stream', '-a'])).stdout;
  assert.match(stats, /^CONTAINER ID {3}NAME {6}CPU % {5}MEM USAGE \/ LIMIT .* PIDS\n[0-9a-f]{12} {3}site {6}0\.00% /);
  await does('network rm net', 'net\n');
  await docker.ok('network', 'create', 'unused');
  await does('network prune -f', 'Deleted Networks:\nunused\n\n');
});

async function baseIn(folder: string): Promise<string> {
  const path = join(folder, 'base.tar');
  await writeFile(path, baseImageTar());
  return path;
}
