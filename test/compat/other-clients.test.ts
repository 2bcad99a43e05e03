/** Clients that are not the docker CLI. Each is used where the machine has it. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { containerSetup, lines, until } from './containers-fixture.ts';

const clients = join(import.meta.dirname, 'clients');

interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(command: readonly string[], options: { env: NodeJS.ProcessEnv; cwd?: string }): Promise<Ran> {
  return new Promise((resolve) => {
    const [file = '', ...args] = command;
    execFile(file, args, { ...options, timeout: 120_000 }, (error, stdout, stderr) =>
      resolve({ status: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
    );
  });
}

test('docker-py', async (t) => {
  const probe = spawnSync('python3', ['-c', 'import docker'], { encoding: 'utf8' });
  if (probe.status !== 0) return t.skip('python3 with docker-py (python3-docker) is not here');
  await using setup = await containerSetup(t);
  if (!setup) return;
  const command = ['python3', join(clients, 'docker_py.py'), setup.daemon.host, 'base'];
  const ran = await run(command, { env: { ...process.env, HOME: setup.folder } });
  assert.deepEqual([ran.status, ran.stderr, ran.stdout], [0, '', 'done\n']);
});

test('docker-compose 1.29', (t) => compose(t, ['docker-compose']));
test('docker compose 2', (t) => compose(t, ['docker', 'compose']));

/** One project's life. */
async function compose(t: TestContext, command: readonly string[]): Promise<void> {
  const [file = '', ...words] = command;
  if (spawnSync(file, [...words, 'version']).status !== 0) return t.skip(`${command.join(' ')} is not here`);
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, folder } = setup;
  const cwd = join(folder, 'project');
  await mkdir(join(cwd, 'conf'), { recursive: true });
  await copyFile(join(clients, 'compose.yml'), join(cwd, 'docker-compose.yml'));
  await writeFile(join(cwd, 'conf/f'), 'from the host\n');
  const env = { ...process.env, DOCKER_HOST: setup.daemon.host, COMPOSE_PROJECT_NAME: 'proj' };
  const does = (...args: string[]) => run([...command, ...args], { env, cwd });
  const ok = async (...args: string[]) => {
    const ran = await does(...args);
    assert.equal(ran.status, 0, `${args.join(' ')}\n${ran.stdout}${ran.stderr}`);
    return ran.stdout;
  };
  const running = async (...filters: string[]) =>
    lines(await docker.ok('ps', '-q', ...filters.flatMap((one) => ['--filter', one]))).length;
  const ofWeb = 'label=com.docker.compose.service=web';

  await ok('up', '-d');
  assert.equal(await running('label=com.docker.compose.project=proj'), 2);
  await until(
    () => ok('logs', '--no-color'),
    (text) => /db.*\| db ready/.test(text) && /web.*\| up/.test(text),
  );
  assert.equal(
    await ok('exec', '-T', 'db', 'sh', '-c', 'cat /conf/f; hostname; echo $PASSWORD'),
    'from the host\ndbhost\nsecret\n',
  );
  assert.equal(await ok('exec', '-T', 'db', 'wget', '-qO-', 'http://web/index.html'), 'hello\n');
  assert.match(await ok('exec', '-T', 'web', 'nslookup', 'database'), /10\.233\.8\.\d/);
  assert.equal((await does('exec', '-T', 'db', 'sh', '-c', 'exit 3')).status, 3);
  assert.match(await ok('port', 'web', '80'), /^0\.0\.0\.0:\d+\n$/);
  assert.match(await ok('top', 'web'), /httpd/);
  await ok('up', '-d', '--scale', 'web=3');
  assert.equal(await running(ofWeb), 3);
  await ok('up', '-d', '--scale', 'web=1');
  assert.equal(await running(ofWeb), 1);
  const once = await does('run', '--rm', '-T', 'db', 'sh', '-c', 'cat /conf/f; exit 5');
  assert.deepEqual([once.status, once.stdout], [5, 'from the host\n']);
  await ok('pause', 'db');
  assert.equal(await running('status=paused'), 1);
  await ok('unpause', 'db');
  await ok('restart', '-t', '0', 'web');
  await ok('stop', '-t', '0');
  assert.equal(await running(), 0);
  await ok('start');
  // The old one cannot do this with any engine of today.
  if (file === 'docker') await ok('up', '-d', '--force-recreate', 'db');
  assert.equal(await running(), 2);
  await ok('kill', 'web');
  await ok('rm', '-f', 'web');
  await ok('down', '-v', '-t', '0');
  assert.equal(await docker.ok('ps', '-aq'), '');
  assert.equal(await docker.ok('volume', 'ls', '-q'), '');
  assert.equal(await docker.ok('network', 'ls', '-q', '--filter', 'type=custom'), '');
}
