import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isKind } from '#errdefs';
import { decodeFrames } from '#http';
import { type ContainerSpec, openRuntime, type Runtime } from '#runtime';
import { requireRoot, temporaryFolder } from '#testing';
import { collect, containerSpec, makeRootfs, removeCgroupParent } from './runtime-fixture.ts';

interface Work {
  readonly runRoot: string;
  readonly containers: readonly { spec: ContainerSpec; logPath: string; start: boolean; openStdin: boolean }[];
}

/** A daemon that starts containers and is killed the hard way. */
async function startAndDie(work: Work): Promise<void> {
  const script = `
    import { openRuntime } from '#runtime';
    const work = JSON.parse(process.argv[1]);
    const runtime = await openRuntime({ runRoot: work.runRoot });
    for (const { spec, logPath, start, openStdin } of work.containers) {
      const container = await runtime.create(spec, { openStdin, logPath });
      if (start) await container.start();
    }
    console.log('ready');
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script, JSON.stringify(work)], {
    cwd: join(import.meta.dirname, '..', '..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(createInterface({ input: child.stdout! }), 'line');
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function remove(runtime: Runtime): Promise<void> {
  for (const id of await runtime.list()) {
    await runtime.adopt(id);
    await runtime.delete(id, { force: true });
  }
  await runtime[Symbol.asyncDispose]();
  removeCgroupParent();
}

test('containers outlive a killed daemon; the next one has their output, exits and logs', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder('wherry-adopt-');
  const rootfs = await makeRootfs(join(folder.path, 'rootfs'));
  const runRoot = join(folder.path, 'run');
  await mkdir(runRoot);
  const make = (args: readonly string[], start = true, openStdin = false) => {
    const spec = containerSpec(rootfs, args);
    return { spec, logPath: join(folder.path, `${spec.id}.log`), start, openStdin };
  };
  const short = make(['sh', '-c', 'echo bye; exit 11']);
  const long = make(['sh', '-c', 'echo early; read word; echo got $word; exit 12'], true, true);
  const waiting = make(['true'], false);
  const before = new Date();
  await startAndDie({ runRoot, containers: [short, long, waiting] });
  await delay(100);

  const runtime = await openRuntime({ runRoot });
  try {
    assert.deepEqual((await runtime.list()).toSorted(), [short, long, waiting].map((c) => c.spec.id).sort());

    const ended = await runtime.adopt(short.spec.id);
    assert.equal((await ended!.exited).exitCode, 11);
    await runtime.delete(short.spec.id);

    const living = await runtime.adopt(long.spec.id);
    assert.ok(living);
    assert.ok(living.startedAt >= before && living.startedAt <= new Date());
    assert.equal(await runtime.adopt(long.spec.id), living);
    const attachment = await living.attach({ input: true });
    await attachment.write(Buffer.from('hello\n'));
    assert.equal((await collect(attachment)).stdout.toString(), 'got hello\n');
    assert.equal((await living.exited).exitCode, 12);
    const lines: string[] = [];
    for await (const { data } of decodeFrames(runtime.logs(long.logPath, {}))) lines.push(Buffer.from(data).toString());
    assert.deepEqual(lines, ['early\n', 'got hello\n']);
    await runtime.delete(long.spec.id);

    assert.equal(await runtime.adopt(waiting.spec.id), undefined);
    assert.equal(await runtime.adopt('never-was'), undefined);
    assert.deepEqual(await runtime.list(), []);
  } finally {
    await remove(runtime);
  }
});

test('a container killed while no daemon was there is adopted with its exit code', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder('wherry-adopt-');
  const spec = containerSpec(await makeRootfs(join(folder.path, 'rootfs')), ['sleep', '60']);
  const runRoot = join(folder.path, 'run');
  const first = await openRuntime({ runRoot });
  const container = await first.create(spec, { openStdin: false });
  await container.start();
  await first[Symbol.asyncDispose]();
  process.kill(container.pid, 'SIGKILL');
  await delay(100);
  const second = await openRuntime({ runRoot });
  try {
    const adopted = await second.adopt(spec.id);
    assert.equal((await adopted!.exited).exitCode, 137);
    await second.delete(spec.id);
    assert.deepEqual(await second.list(), []);
  } finally {
    await remove(second);
  }
});

test('a running container nobody adopted is not deleted by mistake, and is by force', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder('wherry-adopt-');
  const spec = containerSpec(await makeRootfs(join(folder.path, 'rootfs')), ['sleep', '60']);
  const runRoot = join(folder.path, 'run');
  const first = await openRuntime({ runRoot });
  await (await first.create(spec, { openStdin: false })).start();
  await first[Symbol.asyncDispose]();
  const second = await openRuntime({ runRoot });
  try {
    await assert.rejects(second.delete(spec.id), (error) => isKind(error, 'failed-precondition'));
    await second.delete(spec.id, { force: true });
    assert.deepEqual(await second.list(), []);
  } finally {
    await remove(second);
  }
});

test('a run root whose processes are gone is cleaned, as after a restart of the machine', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder('wherry-adopt-');
  const spec = containerSpec(await makeRootfs(join(folder.path, 'rootfs')), ['sleep', '60']);
  const runRoot = join(folder.path, 'run');
  const first = await openRuntime({ runRoot });
  const container = await first.create(spec, { openStdin: false });
  await container.start();
  const conmon = Number((await import('node:fs')).readFileSync(`/proc/${container.pid}/stat`, 'utf8').split(' ')[3]);
  await first[Symbol.asyncDispose]();
  process.kill(conmon, 'SIGKILL');
  process.kill(container.pid, 'SIGKILL');
  await delay(100);
  const second = await openRuntime({ runRoot });
  try {
    assert.equal(await second.adopt(spec.id), undefined);
    assert.deepEqual(await second.list(), []);
  } finally {
    await remove(second);
  }
});
