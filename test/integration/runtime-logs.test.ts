import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { LogRecord } from '#runtime';
import { requireRoot } from '#testing';
import { type Fixture, openFixture } from './runtime-fixture.ts';

let fixture: Fixture;
const isRoot = process.getuid?.() === 0;
before(async () => {
  if (isRoot) fixture = await openFixture();
});
after(async () => {
  if (isRoot) await fixture[Symbol.asyncDispose]();
});

async function all(records: AsyncIterable<LogRecord>): Promise<LogRecord[]> {
  const seen: LogRecord[] = [];
  for await (const record of records) seen.push(record);
  return seen;
}

const text = (records: readonly LogRecord[]) => Buffer.concat(records.map((record) => record.line)).toString();

test('following from before the start sees every line once, in order, and ends with the container', async (t) => {
  if (!requireRoot(t)) return;
  const spec = fixture.spec(['sh', '-c', 'seq 1 30000; sleep 0.2; seq 30001 60000']);
  const logPath = `${fixture.folder}/${spec.id}.log`;
  const container = await fixture.runtime.create(spec, { openStdin: false, logPath });
  const followed = all(fixture.runtime.logs(logPath, { follow: true, ended: container.process.exited }));
  await container.start();
  const records = await followed;
  assert.equal(text(records), Array.from({ length: 60_000 }, (_, i) => `${i + 1}\n`).join(''));
  assert.ok(records.every((record, i) => i === 0 || records[i - 1]!.timeNs <= record.timeNs));
  assert.ok(Math.abs(Number(records.at(-1)!.timeNs / 1_000_000n) - Date.now()) < 60_000);
  const tail = await all(fixture.runtime.logs(logPath, { tail: 3 }));
  assert.equal(text(tail.filter((record) => !record.partial)).endsWith('60000\n'), true);
  assert.equal(tail.length, 3);
  await fixture.runtime.delete(spec.id);
});

test('streams, long lines in parts, bytes as they were', async (t) => {
  if (!requireRoot(t)) return;
  const script = 'head -c 20000 /dev/zero; echo; echo err >&2; sleep 0.1; busybox printf "no end\\r\\377"';
  const { container, id, logPath } = await fixture.run(['sh', '-c', script]);
  await container.process.exited;
  const records = await all(fixture.runtime.logs(logPath, {}));
  assert.ok(records.some((record) => record.partial));
  const out = records.filter((record) => record.stream === 'stdout');
  const want = Buffer.concat([Buffer.alloc(20_000), Buffer.from('\nno end\r'), Buffer.from([0xff])]);
  assert.deepEqual(Buffer.concat(out.map((record) => record.line)), want);
  const errors = await all(fixture.runtime.logs(logPath, { stdout: false }));
  assert.equal(text(errors), 'err\n');
  await fixture.runtime.delete(id);
});

test('a log is followed from file to file, and read back over all of them', async (t) => {
  if (!requireRoot(t)) return;
  const spec = fixture.spec(['sh', '-c', 'for i in $(seq 1 1500); do echo line $i; busybox usleep 1000; done']);
  const logPath = `${fixture.folder}/${spec.id}.log`;
  const container = await fixture.runtime.create(spec, { openStdin: false, logPath });
  const followed = all(fixture.runtime.logs(logPath, { follow: true, ended: container.process.exited }));
  fixture.runtime.keepLog(spec.id, { path: logPath, maxBytes: 8_000, maxFiles: 100 });
  await container.start();
  const whole = Array.from({ length: 1500 }, (_, i) => `line ${i + 1}\n`).join('');
  assert.equal(text(await followed), whole);
  const files = readdirSync(fixture.folder).filter((name) => name.startsWith(`${spec.id}.log`));
  assert.ok(files.length > 3, files.join(' '));
  assert.equal(text(await all(fixture.runtime.logs(logPath, {}))), whole);
  const tail = await all(fixture.runtime.logs(logPath, { tail: 700 }));
  assert.deepEqual([tail.length, text(tail).split('\n')[0]], [700, 'line 801']);
  await fixture.runtime.delete(spec.id);
});

test('an abort ends a follower', async (t) => {
  if (!requireRoot(t)) return;
  const { id, logPath } = await fixture.run(['sleep', '60']);
  const controller = new AbortController();
  const followed = all(fixture.runtime.logs(logPath, { follow: true, signal: controller.signal }));
  await delay(50);
  controller.abort(new Error('enough'));
  await assert.rejects(followed, /enough/);
  await fixture.runtime.delete(id, { force: true });
});

test('following ends at a time in the future', async (t) => {
  if (!requireRoot(t)) return;
  const { id, logPath } = await fixture.run(['sh', '-c', 'echo early; sleep 60']);
  const untilNs = BigInt(Date.now() + 300) * 1_000_000n;
  const records = await all(fixture.runtime.logs(logPath, { follow: true, untilNs }));
  assert.equal(text(records), 'early\n');
  await fixture.runtime.delete(id, { force: true });
});
