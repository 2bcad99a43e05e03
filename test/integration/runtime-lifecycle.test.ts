import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isKind } from '#errdefs';
import { StartError } from '#runtime';
import { requireRoot } from '#testing';
import { cgroupParent, collect, type Fixture, openFixture, processSpec } from './runtime-fixture.ts';

let fixture: Fixture;
const isRoot = process.getuid?.() === 0;
before(async () => {
  if (isRoot) fixture = await openFixture();
});
after(async () => {
  if (isRoot) await fixture[Symbol.asyncDispose]();
});

function cgroupsOf(id: string): string[] {
  return readdirSync('/sys/fs/cgroup', { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join('/sys/fs/cgroup', entry.name, cgroupParent, id))
    .concat(join('/sys/fs/cgroup', cgroupParent, id))
    .filter((path) => existsSync(path));
}

function nothingLeft(id: string): void {
  const run = join(fixture.folder, 'run');
  assert.equal(existsSync(join(run, 'containers', id)), false);
  assert.equal(existsSync(join(run, 'state', id)), false);
  assert.equal(existsSync(join(run, 'exits', id)), false);
  assert.deepEqual(cgroupsOf(id), []);
}

test('output, exit code and clean-up', async (t) => {
  if (!requireRoot(t)) return;
  const { id, container, attachment } = await fixture.run(['sh', '-c', 'echo out; echo err >&2; exit 3']);
  const output = await collect(attachment);
  const status = await container.process.exited;
  assert.equal(output.stdout.toString(), 'out\n');
  assert.equal(output.stderr.toString(), 'err\n');
  assert.deepEqual([status.exitCode, status.oomKilled], [3, false]);
  assert.ok(status.finishedAt >= container.process.startedAt);
  assert.ok(cgroupsOf(id).length > 0);
  await fixture.runtime.delete(id);
  nothingLeft(id);
  await fixture.runtime.delete(id); // absent is fine
});

test('a create that is given up at any moment leaves nothing', async (t) => {
  if (!requireRoot(t)) return;
  const ids: string[] = [];
  for (let waitMs = 0; waitMs < 40; waitMs++) {
    const spec = fixture.spec(['true']);
    ids.push(spec.id);
    const signal = AbortSignal.timeout(waitMs);
    await fixture.runtime.create(spec, { openStdin: false, signal }).catch((error: unknown) => {
      assert.equal(signal.aborted, true, String(error));
    });
    await fixture.runtime.delete(spec.id, { force: true });
  }
  await delay(500);
  for (const id of ids) nothingLeft(id);
});

test('a signal that ends the process is exit code 128 and more; one to a dead process is refused', async (t) => {
  if (!requireRoot(t)) return;
  const { runtime } = fixture;
  const killed = await fixture.run(['sleep', '60']);
  await assert.rejects(runtime.delete(killed.id), (error) => isKind(error, 'failed-precondition'));
  await runtime.kill(killed.id, 9);
  assert.equal((await killed.container.process.exited).exitCode, 137);
  await assert.rejects(runtime.kill(killed.id, 9), (error) => isKind(error, 'failed-precondition'));
  const trapped = await fixture.run(['sh', '-c', 'trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done']);
  await trapped.attachment.output[Symbol.asyncIterator]().next();
  await runtime.kill(trapped.id, 15);
  assert.equal((await trapped.container.process.exited).exitCode, 7);
  await assert.rejects(runtime.kill('nobody', 9), (error) => isKind(error, 'not-found'));
});

test('a command that cannot be started fails in the words of dockerd, and leaves nothing', async (t) => {
  if (!requireRoot(t)) return;
  const prefix =
    'failed to create task for container: failed to create shim task: OCI runtime create failed: ' +
    'runc create failed: unable to start container process: error during container init: ';
  const cases: [string, string, number][] = [
    ['nosuch', 'exec: "nosuch": executable file not found in $PATH', 127],
    ['/no/such', 'exec: "/no/such": stat /no/such: no such file or directory', 127],
    ['/etc', 'exec: "/etc": is a directory: permission denied', 126],
  ];
  for (const [command, words, code] of cases) {
    const spec = fixture.spec([command]);
    await assert.rejects(fixture.runtime.create(spec, { openStdin: false }), (error) => {
      assert.ok(error instanceof StartError);
      assert.equal(error.message, prefix + words);
      assert.equal(error.exitCode, code);
      return true;
    });
    nothingLeft(spec.id);
  }
});

test('an ID that exists, or is none, is refused', async (t) => {
  if (!requireRoot(t)) return;
  const spec = fixture.spec(['true']);
  await fixture.runtime.create(spec, { openStdin: false });
  await assert.rejects(fixture.runtime.create(spec, { openStdin: false }), (error) => isKind(error, 'already-exists'));
  await fixture.runtime.delete(spec.id, { force: true });
  nothingLeft(spec.id);
  for (const id of ['../x', '', '-rf', 'a/b', 'x'.repeat(200)]) {
    await assert.rejects(fixture.runtime.create({ ...spec, id }, { openStdin: false }), (error) =>
      isKind(error, 'invalid-argument'),
    );
  }
});

test('an aborted create leaves nothing', async (t) => {
  if (!requireRoot(t)) return;
  const controller = new AbortController();
  const spec = fixture.spec(['sleep', '60']);
  const created = fixture.runtime.create(spec, { openStdin: false, signal: controller.signal });
  controller.abort(new Error('changed my mind'));
  await assert.rejects(created, /changed my mind/);
  nothingLeft(spec.id);
});

test('exec: output, exit code, input, and the words of a failure', async (t) => {
  if (!requireRoot(t)) return;
  const { runtime } = fixture;
  const { id } = await fixture.run(['sleep', '60']);
  const told = await runtime.exec(id, {
    id: 'exec-1',
    process: processSpec(['sh', '-c', 'echo one; cat; echo two >&2; exit 5']),
    openStdin: true,
    attach: true,
  });
  const attachment = await told.attach({ input: true });
  await attachment.write(Buffer.from('from outside\n'));
  await attachment.closeInput();
  const output = await collect(attachment);
  assert.equal(output.stdout.toString(), 'one\nfrom outside\n');
  assert.equal(output.stderr.toString(), 'two\n');
  assert.equal((await told.exited).exitCode, 5);
  assert.deepEqual(readdirSync(join(fixture.folder, 'run', 'execs')), []);
  await assert.rejects(
    runtime.exec(id, { id: 'exec-2', process: processSpec(['nosuch']), openStdin: false }),
    (error) =>
      error instanceof StartError &&
      error.exitCode === 127 &&
      error.message ===
        'OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH',
  );
  const killed = await runtime.exec(id, {
    id: 'exec-3',
    process: processSpec(['sh', '-c', 'kill -9 $$']),
    openStdin: false,
  });
  assert.equal((await killed.exited).exitCode, 137);
  assert.deepEqual(readdirSync(join(fixture.folder, 'run', 'execs')), []);
  await runtime.delete(id, { force: true });
});

test('pause stops it, resume goes on, processes are listed, a paused one can be deleted', async (t) => {
  if (!requireRoot(t)) return;
  const { runtime } = fixture;
  const { id, attachment } = await fixture.run(['sh', '-c', 'while :; do echo tick; sleep 0.02; done']);
  const output = attachment.output[Symbol.asyncIterator]();
  await output.next();
  const pids = await runtime.processes(id);
  assert.ok(pids.length >= 1);
  assert.ok(pids.every((pid) => existsSync(`/proc/${pid}`)));
  await runtime.pause(id);
  await delay(60);
  const whileFrozen = readFileSync(join(fixture.folder, `${id}.log`)).length;
  await delay(150);
  assert.equal(readFileSync(join(fixture.folder, `${id}.log`)).length, whileFrozen);
  await runtime.resume(id);
  await delay(150);
  assert.ok(readFileSync(join(fixture.folder, `${id}.log`)).length > whileFrozen);
  await runtime.pause(id);
  await runtime.delete(id, { force: true });
  nothingLeft(id);
});

test('a memory limit kills, and is told', async (t) => {
  if (!requireRoot(t)) return;
  const limits = { memoryBytes: 16 << 20, memorySwapBytes: 16 << 20, pidsLimit: 20, nanoCpus: 500_000_000 };
  const { container, id } = await fixture.run(['sh', '-c', 'tail /dev/zero'], { resources: limits });
  const status = await container.process.exited;
  assert.deepEqual([status.exitCode, status.oomKilled], [137, true]);
  await fixture.runtime.delete(id);
});

test('update changes the limits of a running container', async (t) => {
  if (!requireRoot(t)) return;
  const { id } = await fixture.run(['sleep', '60'], { resources: { memoryBytes: 64 << 20 } });
  await fixture.runtime.update(id, { memoryBytes: 32 << 20 });
  const limit = cgroupsOf(id)
    .flatMap((path) => [join(path, 'memory.limit_in_bytes'), join(path, 'memory.max')])
    .find((path) => existsSync(path));
  assert.equal(Number(readFileSync(limit!, 'utf8')), 32 << 20);
  await fixture.runtime.delete(id, { force: true });
});

test('what a container sees: shm size, masked files, no dangerous calls, its hostname', async (t) => {
  if (!requireRoot(t)) return;
  const script =
    'df -k /dev/shm | tail -1; cat /proc/kcore | head -c 1; busybox hostname; grep Seccomp: /proc/self/status; ' +
    'busybox unshare -U true; echo x > /proc/sys/kernel/hostname; busybox mount -t tmpfs x /tmp';
  const { attachment, container, id } = await fixture.run(['sh', '-c', script]);
  const { stdout, stderr } = await collect(attachment);
  await container.process.exited;
  assert.match(stdout.toString(), /shm +8192 /);
  assert.match(stdout.toString(), /^box$/m);
  assert.match(stdout.toString(), /Seccomp:\t2/);
  assert.match(stderr.toString(), /unshare.*not permitted/);
  assert.match(stderr.toString(), /Read-only file system/);
  assert.match(stderr.toString(), /mount.*(denied|not permitted)/);
  await fixture.runtime.delete(id);
});

test('a privileged container sees the machine', async (t) => {
  if (!requireRoot(t)) return;
  const script = 'busybox ls -1 /dev; grep Seccomp: /proc/self/status';
  const { attachment, container, id } = await fixture.run(['sh', '-c', script], { privileged: true });
  const seen = (await collect(attachment)).stdout.toString();
  await container.process.exited;
  for (const name of readdirSync('/dev').filter((entry) => /^(vd|sd|loop|kmsg)/.test(entry))) {
    assert.ok(seen.includes(`${name}\n`), `${name} in ${seen}`);
  }
  assert.match(seen, /Seccomp:\t0/);
  await fixture.runtime.delete(id);
});

test('conmon keeps none of our descriptors, is no part of our session, and its death ends the container', async (t) => {
  if (!requireRoot(t)) return;
  const { container, id } = await fixture.run(['sleep', '60']);
  const parent = (pid: number) => Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
  const conmon = parent(container.pid);
  assert.match(readFileSync(`/proc/${conmon}/comm`, 'utf8'), /^conmon/);
  const stat = readFileSync(`/proc/${conmon}/stat`, 'utf8').split(') ')[1]!.split(' ');
  assert.equal(Number(stat[3]), conmon, 'leads its own session');
  const fds = readdirSync(`/proc/${conmon}/fd`).length;
  assert.ok(fds < 30, `${fds} descriptors`);
  process.kill(conmon, 'SIGKILL');
  assert.equal((await container.process.exited).exitCode, 137);
  await fixture.runtime.delete(id, { force: true });
  nothingLeft(id);
});

test('twenty at once', async (t) => {
  if (!requireRoot(t)) return;
  const codes = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const { container, attachment, id } = await fixture.run(['sh', '-c', `echo ${index}; exit ${index}`]);
      const output = await collect(attachment);
      assert.equal(output.stdout.toString(), `${index}\n`);
      const { exitCode } = await container.process.exited;
      await fixture.runtime.delete(id);
      nothingLeft(id);
      return exitCode;
    }),
  );
  assert.deepEqual(
    codes,
    codes.map((_, index) => index),
  );
});
