import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { Engine } from '#api-types';
import { requireRoot } from '#testing';
import { TestDaemon } from '../support/daemon.ts';
import { mountsBelow, tracesOf } from './crash-traces.ts';
import { eventually, logText, patient, run, withBase } from './daemon-fixture.ts';

const shell = (script: string) => ({ Cmd: ['sh', '-c', script] });
const counting = 'i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo line $i; sleep 0.01; done';

/** Kills the daemon, lets time pass without one, and starts the next. */
async function crash(daemon: TestDaemon, downMs: number): Promise<{ killed: number; started: number }> {
  await daemon.kill();
  const killed = Date.now();
  await wait(downMs);
  const started = Date.now();
  await daemon.start();
  return { killed, started };
}

/** As after a power cut: no process, no mount, no cgroup, nothing of the run root. */
async function endMachine(daemon: TestDaemon, pids: readonly number[]): Promise<void> {
  const cgroups = pids.flatMap(cgroupsOf);
  for (const pid of pids) {
    process.kill(parentOf(pid), 'SIGKILL');
    process.kill(pid, 'SIGKILL');
  }
  await eventually(() => pids.every((pid) => !existsSync(`/proc/${pid}`)));
  for (const path of cgroups) await eventually(() => removed(path));
  const runRoot = join(daemon.folder, 'run');
  for (const target of mountsBelow(runRoot).reverse()) execFileSync('umount', [target]);
  await rm(runRoot, { recursive: true });
}

/** Those of its container, wherever hierarchies are mounted. */
function cgroupsOf(pid: number): string[] {
  const id = /\/([0-9a-f]{64})$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? '';
  const root = '/sys/fs/cgroup';
  return ['', ...readdirSync(root)].map((name) => join(root, name, id)).filter((path) => id && existsSync(path));
}

/** False while the kernel still counts somebody in it. */
function removed(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch {
    return false;
  }
}

function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

async function outputOf(engine: Engine, container: string, ...command: string[]): Promise<string> {
  const { Id } = await engine.execs.create(container, { Cmd: command, AttachStdout: true, AttachStderr: true });
  await using streams = await engine.execs.start(Id, { detach: false, tty: false });
  return (await Array.fromAsync(streams!.output, ({ data }) => Buffer.from(data).toString())).join('');
}

test('containers that end while no daemon runs are told of by the next', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start();
  await using engine = await withBase(daemon.host);
  const limits = { Memory: 16 << 20 };
  const ends = await run(engine, 'ends', shell('sleep 0.7; echo last; exit 11'));
  const eats = await run(engine, 'eats', { ...shell('sleep 0.7; tail /dev/zero'), HostConfig: limits });
  const goes = await run(engine, 'goes', {
    ...shell('sleep 0.7'),
    Volumes: { '/v': {} },
    HostConfig: { AutoRemove: true },
  });
  const times = await crash(daemon, 1500);

  const ended = (await engine.containers.inspect(ends)).State;
  assert.deepEqual([ended.Status, ended.ExitCode, ended.OOMKilled, ended.Pid], ['exited', 11, false, 0]);
  const finished = Date.parse(ended.FinishedAt);
  assert.ok(finished >= times.killed - 20 && finished <= times.started, `${ended.FinishedAt} is not when it ended`);
  assert.equal(await logText(engine, ends), 'last\n');
  const { result } = await engine.containers.wait(ends);
  assert.equal((await result).StatusCode, 11);

  const eaten = (await engine.containers.inspect(eats)).State;
  assert.deepEqual([eaten.ExitCode, eaten.OOMKilled], [137, true]);
  await assert.rejects(engine.containers.inspect(goes), /No such container/);
  assert.deepEqual((await engine.volumes.list()).Volumes ?? [], []);
  const { snapshots, folders, bridges, ...rest } = tracesOf(daemon.folder, []);
  assert.equal(bridges.length, 1);
  assert.deepEqual([snapshots, folders], [[ends, eats].sort(), [ends, eats].sort()]);
  const left = Object.entries(rest).filter(([, value]) => value !== 0 && !(Array.isArray(value) && value.length === 0));
  assert.deepEqual(left, []);

  await engine.containers.start(ends);
  assert.equal((await (await engine.containers.wait(ends)).result).StatusCode, 11);
});

test('containers that live on are used as before', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start();
  await using engine = await withBase(daemon.host);
  const counts = await run(engine, 'counts', shell(counting));
  const echoes = await run(engine, 'echoes', { Cmd: ['cat'], OpenStdin: true });
  const serves = await run(engine, 'serves', {
    ...shell('echo page > /srv/index.html; echo kept > /data/file; exec httpd -f -p 80 -h /srv'),
    ExposedPorts: { '80/tcp': {} },
    HostConfig: { PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] }, Binds: ['named:/data'] },
  });
  const goes = await run(engine, 'goes', { Cmd: patient, HostConfig: { AutoRemove: true } });
  const sleeps = await run(engine, 'sleeps', { Cmd: patient });
  await engine.containers.pause(sleeps);
  const port = (await engine.containers.inspect(serves)).NetworkSettings.Ports?.['80/tcp']?.[0]?.HostPort;
  const page = async () => (await fetch(`http://127.0.0.1:${port}/`)).text();
  assert.equal(await eventually(() => page().catch(() => '')), 'page\n');
  await crash(daemon, 300);

  assert.equal(await page(), 'page\n');
  assert.equal((await engine.containers.inspect(serves)).NetworkSettings.Ports?.['80/tcp']?.[0]?.HostPort, port);
  assert.equal(await outputOf(engine, serves, 'cat', '/data/file'), 'kept\n');
  await assert.rejects(run(engine, 'serves', { Cmd: patient }), /name "\/serves" is already in use/);
  await assert.rejects(engine.volumes.remove('named'), /volume is in use/);

  {
    await using streams = await engine.containers.attach(echoes, { stdin: true, stdout: true, stream: true });
    await streams.write(Buffer.from('hello\n'));
    for await (const { data } of streams.output) {
      assert.equal(Buffer.from(data).toString(), 'hello\n');
      break;
    }
  }

  const following = engine.containers.logs(counts, { stdout: true, follow: true });
  const { result } = await engine.containers.wait(counts);
  assert.equal((await result).StatusCode, 0);
  const lines = Array.from({ length: 400 }, (_, index) => `line ${index + 1}\n`).join('');
  assert.equal(await logText(engine, counts), lines);
  const followed = await Array.fromAsync((await following).output, ({ data }) => Buffer.from(data).toString());
  assert.equal(followed.join(''), lines);

  assert.equal((await engine.containers.inspect(sleeps)).State.Status, 'paused');
  await engine.containers.unpause(sleeps);
  await engine.containers.stop(sleeps, { timeoutSeconds: 5 });
  assert.equal((await engine.containers.inspect(sleeps)).State.ExitCode, 7);
  await engine.containers.stop(goes, { timeoutSeconds: 5 });
  assert.equal(await eventually(async () => !existsSync(`${daemon.dataRoot}/containers/${goes}`)), true);
  await assert.rejects(engine.containers.inspect(goes), /No such container/);
  for (const id of [counts, echoes, serves, sleeps]) await engine.containers.remove(id, { force: true });
});

test('a machine that went down takes containers along, and the daemon says so', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start();
  await using engine = await withBase(daemon.host);
  const id = await run(engine, 'lost', { Cmd: patient });
  // On a network of its own it has a name and a resolver in a namespace that goes with the machine.
  await engine.networks.create({ Name: 'own' });
  const named = await run(engine, 'named', { Cmd: patient, HostConfig: { NetworkMode: 'own' } });
  const gone = await run(engine, 'gone', { Cmd: patient, HostConfig: { AutoRemove: true } });
  const pids = await Promise.all(
    [id, named, gone].map(async (one) => (await engine.containers.inspect(one)).State.Pid),
  );
  await daemon.kill();
  await endMachine(daemon, pids);
  // Nobody waited for the disk to have it.
  await rm(join(daemon.dataRoot, 'snapshots', gone), { recursive: true });
  await daemon.start();
  const { State } = await engine.containers.inspect(id);
  assert.deepEqual([State.Status, State.ExitCode, State.Pid], ['exited', 255, 0]);
  assert.equal((await engine.containers.inspect(named)).State.Status, 'exited');
  await assert.rejects(engine.containers.inspect(gone), /No such container/);
  for (const one of [id, named]) {
    await engine.containers.start(one);
    await engine.containers.remove(one, { force: true });
  }
  await engine.networks.remove('own');
});

test('a container that was made just before a power cut starts after it, though its folders were not written yet', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start();
  await using engine = await withBase(daemon.host);
  const { Id } = await engine.containers.create({ Image: 'base', Cmd: ['true'] }, { name: 'made' });
  await daemon.kill();
  for (const kind of ['snapshots', 'containers']) await rm(join(daemon.dataRoot, kind, Id), { recursive: true });
  await daemon.start();
  const { result } = await engine.containers.wait(Id, { condition: 'next-exit' });
  await engine.containers.start(Id);
  assert.equal((await result).StatusCode, 0);
  await engine.containers.remove(Id);
});
