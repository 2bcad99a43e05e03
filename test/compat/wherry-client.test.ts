/** The `wherry` command where the docker CLI's answers are known: words and statuses were taken from docker 28. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmod, lstat, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '#client';
import { serveRegistry } from '#registry-server';
import { requireRoot, temporaryFolder } from '#testing';
import { baseImageTar } from '../../scripts/base-image.ts';
import { TestDaemon } from '../support/daemon.ts';
import { tarOf } from './images-fixture.ts';

const program = join(import.meta.dirname, '..', '..', 'bin/wherry');

function client(daemon: TestDaemon, cwd: string) {
  return async (args: readonly string[], input: string | Buffer = '') => {
    const child = spawn(program, ['-H', daemon.host, ...args], { cwd });
    child.stdin.end(input);
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const status = child.exitCode ?? (await new Promise<number>((resolve) => child.once('close', resolve)));
    return { status, stdout, stderr };
  };
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(stream)).toString('utf8');
}

test('what goes wrong is said in the words of docker, with its status', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  await using daemon = await TestDaemon.start();
  const wherry = client(daemon, folder.path);
  assert.equal((await wherry(['import', '-', 'base'], baseImageTar())).status, 0);
  const cases: readonly (readonly [string, number, RegExp])[] = [
    ['run --rm base nosuch', 127, /exec: "nosuch": executable file not found in \$PATH\n\nRun 'wherry run --help' for/],
    ['run --rm base /etc', 126, /exec: "\/etc": is a directory/],
    ['run --rm --restart always base true', 125, /conflicting options: cannot specify both --restart and --rm\n/],
    [
      'run --restart always:x base true',
      125,
      /invalid restart policy format: maximum retry count must be an integer\n/,
    ],
    [
      'run --health-interval x base true',
      125,
      /invalid argument "x" for "--health-interval" flag: time: invalid durat/,
    ],
    ['run --rm --network nonet base true', 125, /network nonet not found\n/],
    ['load -i /nonexistent', 1, /^open \/nonexistent: no such file or directory\n$/],
    ['import /nonexistent', 1, /^open \/nonexistent: no such file or directory\n$/],
    ['save -o /nonexistent/x base', 1, /^failed to save image: invalid output path: stat \/nonexistent: no such file/],
    ['save -o . base', 1, /^failed to save image: cannot write to a directory\n$/],
    ['save -o null base', 1, /^failed to save image: cannot write to a character device file\n$/],
    ['save -o link base', 1, /^failed to save image: cannot write to a symbolic link directly\n$/],
    ['tag base BAD', 1, /^Error parsing reference: "BAD" is not a valid repository\/tag: invalid reference format/],
    ['build -t BAD .', 125, /^invalid argument "BAD" for "-t, --tag" flag: invalid reference format/],
    ['build -f nope .', 1, /^unable to prepare context: .* lstat \S+\/nope: no such file or directory\n$/],
    ['rmi -f nosuch', 0, /No such image: nosuch/],
    ['rm -f nosuch', 0, /No such container: nosuch/],
    ['rm nosuch', 1, /No such container: nosuch/],
  ];
  execFileSync('mknod', ['null', 'c', '1', '3'], { cwd: folder.path });
  await symlink('null', join(folder.path, 'link'));
  for (const [line, status, words] of cases) {
    const ran = await wherry(line.split(' '));
    assert.equal(ran.status, status, `${line}: ${ran.stderr}`);
    assert.match(ran.stderr, words, line);
  }
  assert.ok((await lstat(join(folder.path, 'null'))).isCharacterDevice(), 'a device stays one');
  assert.match((await wherry(['push', '127.0.0.1:1/x'])).stdout, /^Using default tag: latest\n/);
});

test('build: contexts and Dockerfiles from folders and standard input, -q, --rm=false, what is sent', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  await using daemon = await TestDaemon.start();
  const wherry = client(daemon, folder.path);
  await wherry(['import', '-', 'base'], baseImageTar());
  const context = join(folder.path, 'context');
  await mkdir(context);
  await writeFile(join(context, 'f'), 'from the context\n');
  await writeFile(join(folder.path, 'Outside'), 'FROM base\nCOPY f /f\nRUN cat /f\n');
  const outside = await wherry(['build', '-f', 'Outside', 'context']);
  assert.match(outside.stdout, /^Sending build context to Wherry daemon {2}\S+B\nStep 1\/3/, outside.stderr);
  assert.match(outside.stdout, /\nfrom the context\n/);
  const piped = await wherry(['build', '-f', '-', 'context'], 'FROM base\nCOPY f /g\nRUN cat /g\n');
  assert.match(piped.stdout, /\nfrom the context\n/, piped.stderr);
  await symlink('context', join(folder.path, 'linked'));
  await writeFile(join(context, 'Inside'), 'FROM base\nCOPY f /linked\nRUN cat /linked\n');
  const linked = await wherry(['build', '-f', 'linked/Inside', 'linked']);
  assert.match(linked.stdout, /\nfrom the context\n/, linked.stderr);
  for (const args of [['missing'], ['-f', '-', 'missing'], ['Outside']]) {
    const { stderr } = await wherry(['build', ...args], 'FROM base\n');
    assert.equal(stderr, `unable to prepare context: path "${folder.path}/${args.at(-1)}" not found\n`);
  }
  const large = { D: 'FROM base\nCOPY big /\nRUN wc -c /big\n', big: Buffer.alloc(20 << 20, 1) };
  const archive = await wherry(['build', '-f', 'D', '-'], tarOf(large));
  assert.match(archive.stdout, /\n20971520 \/big\n/, archive.stderr);
  assert.match((await wherry(['build', '-'], 'abc')).stderr, /unknown instruction: abc/);
  const quiet = await wherry(['build', '-q', '-'], 'FROM base\nRUN echo said; exit 4\n');
  assert.deepEqual([quiet.status, quiet.stdout], [4, '']);
  assert.match(quiet.stderr, /said\n(.*\n)*.*returned a non-zero code: 4/);
  const built = await wherry(['build', '-q', '-'], 'FROM base\nENV A=1\n');
  assert.match(built.stdout, /^sha256:[0-9a-f]{64}\n$/);
  const names = async () => (await wherry(['ps', '-aq'])).stdout.split('\n').filter(Boolean);
  await wherry(['rm', ...(await names())]);
  await wherry(['build', '--force-rm', '-'], 'FROM base\nRUN false\n');
  assert.deepEqual(await names(), []);
  await wherry(['build', '--rm=false', '-'], 'FROM base\nRUN echo stays\n');
  assert.equal((await names()).length, 1);
});

test('what happens to a container by itself, as the client asks for it', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  await using daemon = await TestDaemon.start();
  await using engine = connect(daemon.host);
  const wherry = client(daemon, folder.path);
  assert.equal((await wherry(['import', '-', 'base'], baseImageTar())).status, 0);
  const flags = ['--restart', 'on-failure:2', '--health-cmd', 'true', '--health-interval', '1m30s'];
  const more = ['--health-retries', '4', '--health-on-failure', 'stop'];
  assert.equal((await wherry(['run', '--name', 'checked', ...flags, ...more, 'base', 'true'])).status, 0);
  const { Config, HostConfig } = await engine.containers.inspect('checked');
  assert.deepEqual(HostConfig.RestartPolicy, { Name: 'on-failure', MaximumRetryCount: 2 });
  assert.deepEqual(Config.Healthcheck, { Test: ['CMD-SHELL', 'true'], Interval: 90e9, Retries: 4 });
  assert.deepEqual(Config.Labels, { 'io.wherry.health-on-failure': 'stop' });
  assert.equal((await wherry(['run', '--name', 'bare', '--no-healthcheck', 'base', 'true'])).status, 0);
  assert.deepEqual((await engine.containers.inspect('bare')).Config.Healthcheck, { Test: ['NONE'] });
});

test('what a user may not read is said before anything is sent', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  await chmod(folder.path, 0o755);
  const context = join(folder.path, 'context');
  await mkdir(join(context, 'closed'), { recursive: true });
  await writeFile(join(context, 'Dockerfile'), 'FROM scratch\n');
  await writeFile(join(context, 'secret'), '', { mode: 0o600 });
  const asNobody = async (...flags: string[]) => {
    const args = [65534, 65534].map((id, at) => `${at ? '--regid' : '--reuid'}=${id}`);
    const line = [...args, '--clear-groups', program, '-H', 'unix:///nonexistent', 'build', ...flags, context];
    const child = spawn('setpriv', line, { cwd: folder.path });
    return await text(child.stderr);
  };
  const reach = spawn('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', program, '--version']);
  if ((await text(reach.stdout)) === '') return t.skip('this checkout is not for everybody to read');
  assert.equal(await asNobody(), `error checking context: no permission to read from '${context}/secret'\n`);
  await chmod(join(context, 'secret'), 0o644);
  await chmod(join(context, 'closed'), 0o700);
  assert.equal(await asNobody(), `error checking context: can't stat '${context}/closed'\n`);
  await writeFile(join(context, '.dockerignore'), 'closed\n');
  assert.match(await asNobody(), /Cannot connect to the Docker daemon/);
});

test('a command loads no HTTP client nor TLS that it has no use for: its start is waited for each time', async (t) => {
  if (!requireRoot(t)) return;
  const listModules = `data:text/javascript,process.on('exit',()=>console.error(process.moduleLoadList.join()))`;
  const env = { ...process.env, NODE_OPTIONS: `--import "${listModules}"` };
  const child = spawn(program, ['-H', 'unix:///nonexistent/wherry.sock', 'ps'], { env });
  const modules = (await text(child.stderr)).split(/[,\n]/);
  assert.ok(modules.includes('NativeModule http'), modules.slice(0, 3).join('\n'));
  const unwanted = modules.filter((name) => /undici|NativeModule (?:https|tls|crypto|zlib)$/.test(name));
  assert.deepEqual(unwanted, []);
});

test('what is removed: freed and kept apart, and the sum is what was reclaimable', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  await using daemon = await TestDaemon.start({ flags: ['--undo-min-free=0', '--bridge=none', '--iptables=false'] });
  await using engine = connect(daemon.host);
  const wherry = client(daemon, folder.path);
  await wherry(['import', '-', 'base'], baseImageTar());
  await wherry(['import', '-', 'app'], tarOf({ app: 'x'.repeat(3_000_000) }));
  const part = async (kind: string) => (await engine.system.account()).Parts.find(({ Kind }) => Kind === kind)!;
  const before = (await part('images')).Items.find(({ Name }) => Name.startsWith('app'))!.Reclaimable;
  const removed = await wherry(['rmi', 'app']);
  assert.match(
    removed.stdout,
    /^Untagged: app:latest\n(Deleted: sha256:\w+\n)+Total reclaimed space: 3.\d+MB\n freed now: 0B\n in the trash: 3.\d+MB \("wherry undo \d+" brings/,
  );
  assert.equal(
    (await engine.trash.list()).reduce((sum, { Size }) => sum + Size, 0),
    before,
  );
  await engine.trash.undo();

  await wherry(['volume', 'create', '--label', 'a=b', 'data']);
  assert.match((await wherry(['volume', 'ls', '-f', 'label=a=b'])).stdout, /^DRIVER +VOLUME NAME\nlocal +data\n$/);
  assert.equal((await wherry(['volume', 'ls', '-q'])).stdout, 'data\n');
  assert.equal(JSON.parse((await wherry(['volume', 'inspect', 'data'])).stdout)[0].Labels.a, 'b');
  assert.deepEqual(await wherry(['volume', 'inspect', 'none']), {
    status: 1,
    stdout: '[]\n',
    stderr: 'Error response from daemon: get none: no such volume\n',
  });
  await engine.containers.create({ Image: 'base', Cmd: ['true'], Volumes: { '/v': {} } }, { name: 'old' });
  const asked = await wherry(['container', 'prune'], 'n\n');
  assert.equal(
    asked.stdout,
    'WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] ',
  );
  assert.equal((await engine.containers.list({ all: true })).length, 1);
  const pruned = await wherry(['container', 'prune'], 'y\n');
  assert.match(pruned.stdout, /\[y\/N\] Deleted Containers:\n[0-9a-f]{64}\n\nTotal reclaimed space: /);
  assert.match((await wherry(['volume', 'prune', '-f'])).stdout, /^Deleted Volumes:\n[0-9a-f]{64}\n\nTotal reclaimed/);
  const all = await wherry(['system', 'prune', '-af', '--volumes']);
  assert.match(
    all.stdout,
    /^Deleted Images:\n.*untagged: app:latest\ndeleted: sha256:.*in the trash: .*"wherry undo \d+" brings/s,
  );
  assert.deepEqual(await engine.images.list(), []);
  assert.equal((await wherry(['volume', 'rm', 'data', 'none'])).status, 1);
  for (let calls = (await engine.trash.list()).length; calls > 0; calls--) await wherry(['undo']);
  assert.equal((await engine.images.list()).length, 2);
  assert.equal((await wherry(['volume', 'ls', '-q'])).stdout.split('\n').length - 1, 2);
});

test('without an undo what is removed is freed', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  await using daemon = await TestDaemon.start({ flags: ['--undo-grace=0', '--bridge=none', '--iptables=false'] });
  const wherry = client(daemon, folder.path);
  await wherry(['import', '-', 'app'], tarOf({ app: 'x'.repeat(3_000_000) }));
  const removed = await wherry(['rmi', 'app']);
  assert.match(removed.stdout, /\n(Deleted: sha256:\w+\n)+Total reclaimed space: 3MB\n$/);
  await wherry(['import', '-', 'app'], tarOf({ app: 'x'.repeat(3_000_000) }));
  assert.match((await wherry(['image', 'prune', '-af'])).stdout, /\n\nTotal reclaimed space: 3MB\n$/);
  assert.equal((await wherry(['image', 'prune', '-f'])).stdout, 'Total reclaimed space: 0B\n');
});

test('push --compress says how layers are compressed, and refuses what it does not know', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  await using daemon = await TestDaemon.start();
  await using registry = await serveRegistry({ root: join(folder.path, 'registry'), addr: '127.0.0.1:0' });
  const wherry = client(daemon, folder.path);
  const name = `${registry.address}/base:1`;
  assert.equal((await wherry(['import', '-', name], baseImageTar())).status, 0);
  const refused = await wherry(['push', '--compress', 'lzma', name]);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /invalid compression "lzma": want gzip or zstd/);
  assert.match((await wherry(['push', '--compress', 'zstd:23', name])).stderr, /levels of zstd are 1 to 19/);
  assert.equal((await wherry(['push', '--compress', 'zstd:3', name])).status, 0);
  const manifest = await (await fetch(`http://${registry.address}/v2/base/manifests/1`)).json();
  assert.match((manifest as { layers: { mediaType: string }[] }).layers[0]!.mediaType, /tar\+zstd$/);
  assert.equal((await wherry(['rmi', name])).status, 0);
  assert.equal((await wherry(['run', '--rm', '--network', 'none', name, 'true'])).status, 0);
});
