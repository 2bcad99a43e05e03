import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isKind } from '#errdefs';
import { requireRoot } from '#testing';
import { collect, type Fixture, openFixture, processSpec, until } from './runtime-fixture.ts';

let fixture: Fixture;
const isRoot = process.getuid?.() === 0;
before(async () => {
  if (isRoot) fixture = await openFixture();
});
after(async () => {
  if (isRoot) await fixture[Symbol.asyncDispose]();
});

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

test('megabytes of any bytes go through cat and come back, then end of input ends it', async (t) => {
  if (!requireRoot(t)) return;
  const sent = randomBytes(5_000_003);
  const { attachment, container, id } = await fixture.run(['cat'], { openStdin: true, stdinOnce: true });
  const received = collect(attachment);
  for (let at = 0; at < sent.length; at += 100_000) await attachment.write(sent.subarray(at, at + 100_000));
  await attachment.closeInput();
  const { stdout } = await received;
  assert.equal(stdout.length, sent.length);
  assert.equal(sha256(stdout), sha256(sent));
  assert.equal((await container.process.exited).exitCode, 0);
  await fixture.runtime.delete(id);
});

test('a client that reads late loses nothing: the process waits for it', async (t) => {
  if (!requireRoot(t)) return;
  const { attachment, container, id } = await fixture.run(['head', '-c', '6000000', '/dev/zero']);
  assert.equal(await Promise.race([container.process.exited, delay(300, 'waits')]), 'waits');
  assert.equal((await collect(attachment)).stdout.length, 6_000_000);
  assert.equal((await container.process.exited).exitCode, 0);
  await fixture.runtime.delete(id);
});

test('what waits can be read after the container has been deleted', async (t) => {
  if (!requireRoot(t)) return;
  const { attachment, container, id } = await fixture.run(['head', '-c', '200000', '/dev/zero']);
  await container.process.exited;
  await fixture.runtime.delete(id);
  assert.equal((await collect(attachment)).stdout.length, 200_000);
});

test('many clients see the same; one that leaves does not disturb the others', async (t) => {
  if (!requireRoot(t)) return;
  const { attachment, container, id } = await fixture.run(['cat'], { openStdin: true, stdinOnce: true });
  const looker = await container.process.attach();
  const leaver = await container.process.attach();
  const received = Promise.all([collect(attachment), collect(looker)]);
  await attachment.write(Buffer.from('one '));
  await leaver[Symbol.asyncDispose]();
  await delay(50);
  await attachment.write(Buffer.from('two'));
  await attachment.closeInput();
  for (const { stdout } of await received) assert.equal(stdout.toString(), 'one two');
  await container.process.exited;
  await fixture.runtime.delete(id);
});

test('the client that holds a stdinOnce input ends it by leaving', async (t) => {
  if (!requireRoot(t)) return;
  const { attachment, container, id } = await fixture.run(['sh', '-c', 'cat; exit 9'], {
    openStdin: true,
    stdinOnce: true,
  });
  const looker = await container.process.attach();
  await attachment.write(Buffer.from('last words'));
  await attachment[Symbol.asyncDispose]();
  assert.equal((await collect(looker)).stdout.toString(), 'last words');
  assert.equal((await container.process.exited).exitCode, 9);
  await fixture.runtime.delete(id);
});

test('an input that is not stdinOnce stays open for the next client', async (t) => {
  if (!requireRoot(t)) return;
  const { attachment, container, id } = await fixture.run(['sh', '-c', 'read a; echo $a; read b; echo $b'], {
    openStdin: true,
  });
  await attachment.write(Buffer.from('first\n'));
  await until(attachment.output[Symbol.asyncIterator](), 'first');
  await attachment.closeInput();
  await attachment[Symbol.asyncDispose]();
  await delay(50);
  const next = await container.process.attach({ input: true });
  await next.write(Buffer.from('second\n'));
  assert.equal((await collect(next)).stdout.toString(), 'second\n');
  assert.equal((await container.process.exited).exitCode, 0);
  await fixture.runtime.delete(id);
});

test('without an open input the process reads end of file at once, and writes are discarded', async (t) => {
  if (!requireRoot(t)) return;
  const { attachment, container, id } = await fixture.run(['cat']);
  await attachment.write(Buffer.from('nobody reads this'));
  assert.equal((await container.process.exited).exitCode, 0);
  assert.equal((await collect(attachment)).stdout.length, 0);
  const late = await container.process.attach();
  assert.equal((await collect(late)).stdout.length, 0);
  await late.write(Buffer.from('nor this'));
  await container.process.resize(10, 10); // without a terminal: nothing to resize
  await fixture.runtime.delete(id);
});

test('a terminal: echo, resize, one stream', async (t) => {
  if (!requireRoot(t)) return;
  const { attachment, container, id } = await fixture.run(['sh'], { openStdin: true, terminal: true });
  const output = attachment.output[Symbol.asyncIterator]();
  await container.process.resize(33, 99);
  await delay(50);
  await attachment.write(Buffer.from('stty size; test -t 2 && echo on-a-tty >&2\n'));
  assert.match(await until(output, 'on-a-tty\r\n'), /33 99\r\n/);
  await container.process.resize(20, 40);
  await delay(50);
  await attachment.write(Buffer.from('stty size; exit 4\n'));
  await until(output, '20 40\r\n');
  assert.equal((await container.process.exited).exitCode, 4);
  await assert.rejects(container.process.resize(-1, 1e9), (error) => isKind(error, 'invalid-argument'));
  await container.process.resize(1, 1); // of a process that has ended: nothing to resize
  await fixture.runtime.delete(id);
});

test('exec on a terminal, and exec nobody attaches to', async (t) => {
  if (!requireRoot(t)) return;
  const { id } = await fixture.run(['sleep', '60']);
  const told = await fixture.runtime.exec(id, {
    id: 'tty-1',
    process: processSpec(['sh', '-c', 'test -t 0 && test -t 1 && echo on-a-tty; exit 6'], { terminal: true }),
    openStdin: true,
    attach: true,
  });
  const attachment = await told.attach({ input: true });
  const output = await collect(attachment);
  assert.equal(output.stdout.toString(), 'on-a-tty\r\n');
  assert.equal((await told.exited).exitCode, 6);
  const quiet = await fixture.runtime.exec(id, {
    id: 'quiet-1',
    process: processSpec(['sh', '-c', 'seq 1 20000; exit 2']),
    openStdin: false,
  });
  assert.equal((await quiet.exited).exitCode, 2);
  await fixture.runtime.delete(id, { force: true });
});
