import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '#client';
import { requireRoot, temporaryFolder } from '#testing';
import { TestDaemon } from '../support/daemon.ts';
import { instanceOf, mountsBelow, tracesOf } from './crash-traces.ts';
import { eventually, patient, run, wherryd, withBase } from './daemon-fixture.ts';

const home = join(import.meta.dirname, '..', '..');
const bridgeOf = (daemon: TestDaemon) => `/sys/class/net/wh-${instanceOf(daemon.dataRoot)}`;

test('what a command line asks for without a daemon', async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'daemon.json');
  await writeFile(file, '{"mtu": 1400}');
  const help = await wherryd('--help');
  assert.equal(help.status, 0);
  assert.match(help.output, /--data-root string/);
  assert.match((await wherryd('--version')).output, /^Wherry version \d+\.\d+\.\d+\n$/);
  assert.deepEqual(await wherryd('--validate', '--config-file', file), { status: 0, output: 'configuration OK\n' });
  await writeFile(file, '{"mtu": "x"}');
  const invalid = await wherryd('--validate', '--config-file', file);
  assert.equal(invalid.status, 1);
  assert.match(invalid.output, /unable to configure the daemon with file .*mtu must be an integer/);
  const unknown = await wherryd('--nope');
  assert.equal(unknown.status, 125);
  assert.match(unknown.output, /^unknown flag: --nope\n/);
});

test('retired storage drivers say so, and how to move', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  for (const driver of ['aufs', 'devicemapper']) {
    const refused = await wherryd('--data-root', join(folder.path, driver), '--storage-driver', driver);
    assert.equal(refused.status, 1);
    assert.match(refused.output, /retired/);
    assert.match(refused.output, /docker save.*docker load/);
    assert.equal(existsSync(join(folder.path, driver)), false);
  }
});

test('a data root, a pid file and a socket have one daemon', async (t) => {
  if (!requireRoot(t)) return;
  await using first = await TestDaemon.start();
  await using elsewhere = await temporaryFolder();
  const pidFile = join(first.folder, 'wherryd.pid');
  const other = (name: string) => join(elsewhere.path, name);

  const sameRoot = await wherryd(
    '--data-root',
    first.dataRoot,
    '--exec-root',
    other('run'),
    '-H',
    `unix://${other('s')}`,
  );
  assert.equal(sameRoot.status, 1);
  assert.match(sameRoot.output, new RegExp(`in use by process ${first.pid}, listening on ${first.host}`));

  const ownRoot = ['--data-root', other('data'), '--exec-root', other('run')];
  const samePidFile = await wherryd(...ownRoot, '--pidfile', pidFile, '-H', `unix://${other('s')}`);
  assert.equal(samePidFile.status, 1);
  assert.match(samePidFile.output, new RegExp(`process with PID ${first.pid} is still running: pid file found`));

  const sameSocket = await wherryd(...ownRoot, '-H', first.host);
  assert.equal(sameSocket.status, 1);
  assert.match(sameSocket.output, /another process serves this socket/);

  assert.equal(readFileSync(pidFile, 'utf8'), String(first.pid));
  await using engine = connect(first.host);
  await engine.system.ping();
});

test('two daemons on roots of their own do not meet', async (t) => {
  if (!requireRoot(t)) return;
  await using left = await TestDaemon.start();
  await using right = await TestDaemon.start();
  await using one = await withBase(left.host);
  await using two = await withBase(right.host);
  const published = { ExposedPorts: { '80/tcp': {} }, HostConfig: { PublishAllPorts: true } };
  const ids = [
    await run(one, 'same-name', { Cmd: patient, Hostname: 'left', ...published }),
    await run(two, 'same-name', { Cmd: patient, Hostname: 'right', ...published }),
  ];
  for (const [engine, id, name] of [
    [one, ids[0]!, 'left'],
    [two, ids[1]!, 'right'],
  ] as const) {
    const { NetworkSettings } = await engine.containers.inspect(id);
    const port = NetworkSettings.Ports?.['80/tcp']?.[0]?.HostPort;
    const exec = await engine.execs.create(id, { Cmd: ['hostname'], AttachStdout: true });
    await using streams = await engine.execs.start(exec.Id, { detach: false, tty: false });
    const said = await Array.fromAsync(streams!.output, ({ data }) => Buffer.from(data).toString());
    assert.equal(said.join('').trim(), name);
    assert.ok(Number(port) > 0);
  }
  assert.notEqual(instanceOf(left.dataRoot), instanceOf(right.dataRoot));
  await left.stop();
  assert.equal(existsSync(bridgeOf(right)), true);
  assert.equal((await two.containers.inspect(ids[1]!)).State.Running, true);
  await two.containers.remove(ids[1]!, { force: true });
});

test('a trace has every step of a container, in a row of its own', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'trace.json');
  await using daemon = await TestDaemon.start({ flags: ['--trace', path] });
  const engine = await withBase(daemon.host);
  const ids = [await run(engine, 'one', { Cmd: patient }), await run(engine, 'two', { Cmd: patient })];
  for (const id of ids) await engine.containers.remove(id, { force: true });
  await engine[Symbol.asyncDispose]();
  await daemon.stop();
  const events = JSON.parse(readFileSync(path, 'utf8')) as {
    name: string;
    ph: string;
    tid: number;
    ts: number;
    dur: number;
    args: { container?: string };
  }[];
  for (const id of ids) {
    const steps = events.filter(({ args }) => args.container === id);
    const names = new Set(steps.map(({ name }) => name));
    for (const step of ['create', 'start', 'network', 'runtime-create', 'exit', 'remove'])
      assert.ok(names.has(step), step);
    assert.equal(new Set(steps.map(({ tid }) => tid)).size, 1);
    const spanOf = (wanted: string) => steps.find(({ name }) => name === wanted)!;
    const [outer, inner] = [spanOf('start'), spanOf('network')];
    assert.ok(inner.ts >= outer.ts && inner.ts + inner.dur <= outer.ts + outer.dur + 1000);
  }
  assert.equal(events.filter(({ ph }) => ph === 'M').length, 2);
  const refused = await wherryd('--trace', join(folder.path, 'no', 'such'), '--data-root', join(folder.path, 'data'));
  assert.equal(refused.status, 1);
  assert.match(refused.output, /open trace file/);
});

test('SIGTERM stops containers and takes everything along', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start();
  await using engine = await withBase(daemon.host);
  const id = await run(engine, 'stops', { Cmd: patient });
  const gone = await run(engine, 'gone', { Cmd: patient, HostConfig: { AutoRemove: true } });
  await eventually(async () => (await engine.containers.top(id)).Processes.length > 1);
  assert.equal(statSync(join(daemon.folder, 'wherry.sock')).mode & 0o777, 0o660);
  await daemon.stop();

  assert.equal(existsSync(bridgeOf(daemon)), false);
  assert.deepEqual(mountsBelow(daemon.folder), []);
  const { snapshots, folders, ...rest } = tracesOf(daemon.folder, []);
  assert.deepEqual([snapshots, folders], [[id], [id]]);
  assert.ok(Object.values(rest).every((value) => value === 0 || (Array.isArray(value) && value.length === 0)));
  for (const name of ['wherry.sock', 'wherryd.pid']) assert.equal(existsSync(join(daemon.folder, name)), false, name);

  await daemon.start();
  const { State } = await engine.containers.inspect(id);
  assert.deepEqual([State.Status, State.ExitCode], ['exited', 7]);
  await assert.rejects(engine.containers.inspect(gone), /No such container/);
});

test('at SIGTERM a stop timeout of its own counts for more than --shutdown-timeout', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: ['--shutdown-timeout=0'] });
  await using engine = await withBase(daemon.host);
  const slow = ['sh', '-c', "trap 'sleep 1; exit 7' TERM; sleep 1000 & while :; do wait; done"];
  const own = await run(engine, 'own', { Cmd: slow, StopTimeout: 60 });
  const none = await run(engine, 'none', { Cmd: slow });
  for (const id of [own, none]) await eventually(async () => (await engine.containers.top(id)).Processes.length > 1);
  await daemon.stop();
  await daemon.start();
  const codes = await Promise.all([own, none].map(async (id) => (await engine.containers.inspect(id)).State.ExitCode));
  assert.deepEqual(codes, [7, 137]);
});

test('a group that is not there is refused, as nobody of it could connect', async (t) => {
  if (!requireRoot(t)) return;
  const refused = await wherryd('--data-root=/nonexistent/wherry', '--group=no-such-group', '-H=unix:///nonexistent/s');
  assert.equal(refused.output, 'failed to start daemon: failed to load listeners: group no-such-group not found\n');
});

test('a runtime by its bare name and one under a name of its own run containers and go by that name', async (t) => {
  if (!requireRoot(t)) return;
  const path = ['/usr/sbin/runc', '/usr/bin/runc'].find((one) => existsSync(one));
  if (!path) return t.skip('runc is not installed');
  for (const [name, flags] of [
    ['runc', []],
    ['mine', [`--add-runtime=mine=${path}`]],
  ] as const) {
    await using daemon = await TestDaemon.start({ flags: [...flags, `--default-runtime=${name}`, '--bridge=none'] });
    await using engine = await withBase(daemon.host);
    const id = await run(engine, 'runs', { Cmd: ['sleep', '1000'], HostConfig: { NetworkMode: 'none' } });
    const { State, HostConfig } = await engine.containers.inspect(id);
    assert.deepEqual([State.Running, HostConfig.Runtime], [true, name]);
    const { DefaultRuntime, Runtimes } = await engine.system.info();
    assert.deepEqual([DefaultRuntime, Runtimes[name]], [name, { path }]);
    await engine.containers.remove(id, { force: true });
  }
});

test('with --live-restore containers go on, also when a start is refused meanwhile', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: ['--live-restore'] });
  await using engine = await withBase(daemon.host);
  const id = await run(engine, 'lives', { Cmd: patient });
  const { Pid } = (await engine.containers.inspect(id)).State;
  await daemon.stop();
  assert.equal(existsSync(`/proc/${Pid}`), true);

  await using other = await TestDaemon.start();
  const refused = await wherryd(
    '--data-root',
    daemon.dataRoot,
    '--exec-root',
    join(daemon.folder, 'run'),
    '-H',
    other.host,
  );
  assert.match(refused.output, /another process serves this socket/);
  assert.equal(existsSync(`/proc/${Pid}`), true);

  await daemon.start();
  assert.equal((await engine.containers.inspect(id)).State.Pid, Pid);
  await engine.containers.remove(id, { force: true });
});

test('a daemon whose program is replaced while it runs goes on', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  const copied = ['bin', 'dist'];
  for (const name of readdirSync(home)) {
    if (copied.includes(name)) cpSync(join(home, name), join(folder.path, name), { recursive: true });
    else symlinkSync(join(home, name), join(folder.path, name));
  }
  const program = join(folder.path, 'bin', 'wherryd');
  await using daemon = await TestDaemon.start({ within: ['sh', '-c', `shift; exec ${program} "$@"`, 'sh'] });
  rmSync(join(folder.path, 'dist'), { recursive: true });
  await using engine = connect(daemon.host);
  assert.equal((await engine.system.version()).ApiVersion, '1.51');
});
