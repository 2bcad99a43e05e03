import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { decodeFrames } from '#http';
import type { LogQuery } from '#runtime';
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

/** A message's time, in front of its text. */
interface Message {
  readonly stream: string;
  readonly time: string;
  readonly text: Buffer;
}

async function all(query: LogQuery, logPath: string): Promise<Message[]> {
  const seen: Message[] = [];
  for await (const { stream, data } of decodeFrames(fixture.runtime.logs(logPath, { ...query, timestamps: true }))) {
    const text = Buffer.from(data);
    const timeEnd = text.indexOf(' ');
    seen.push({ stream, time: text.toString('latin1', 0, timeEnd), text: text.subarray(timeEnd + 1) });
  }
  return seen;
}

const text = (messages: readonly Message[]) => Buffer.concat(messages.map((message) => message.text)).toString();

test('following from before the start sees every line once, in order, and ends with the container', async (t) => {
  if (!requireRoot(t)) return;
  const spec = fixture.spec(['sh', '-c', 'seq 1 30000; sleep 0.2; seq 30001 60000']);
  const logPath = `${fixture.folder}/${spec.id}.log`;
  const container = await fixture.runtime.create(spec, { openStdin: false, logPath });
  const followed = all({ follow: true, ended: container.process.exited }, logPath);
  await container.start();
  const records = await followed;
  assert.equal(text(records), Array.from({ length: 60_000 }, (_, i) => `${i + 1}\n`).join(''));
  assert.ok(records.every((record, i) => i === 0 || records[i - 1]!.time <= record.time));
  assert.ok(Math.abs(Date.parse(records.at(-1)!.time) - Date.now()) < 60_000);
  const tail = await all({ tail: 3 }, logPath);
  assert.equal(text(tail), '59998\n59999\n60000\n');
  await fixture.runtime.delete(spec.id);
});

test('streams, long lines in parts, bytes as they were', async (t) => {
  if (!requireRoot(t)) return;
  const script = 'head -c 20000 /dev/zero; echo; echo err >&2; sleep 0.1; busybox printf "no end\\r\\377"';
  const { container, id, logPath } = await fixture.run(['sh', '-c', script]);
  await container.process.exited;
  const records = await all({ unfinished: true }, logPath);
  const out = records.filter((record) => record.stream === 'stdout');
  const want = Buffer.concat([Buffer.alloc(20_000), Buffer.from('\nno end\r'), Buffer.from([0xff])]);
  assert.deepEqual(Buffer.concat(out.map((record) => record.text)), want);
  assert.deepEqual(
    out.map((record) => record.text.length),
    [16_384, 20_001 - 16_384, 8],
  );
  const errors = await all({ stdout: false }, logPath);
  assert.equal(text(errors), 'err\n');
  await fixture.runtime.delete(id);
});

test('a log is followed from file to file, and read back over all of them', async (t) => {
  if (!requireRoot(t)) return;
  const spec = fixture.spec(['sh', '-c', 'for i in $(seq 1 1500); do echo line $i; busybox usleep 1000; done']);
  const logPath = `${fixture.folder}/${spec.id}.log`;
  const container = await fixture.runtime.create(spec, { openStdin: false, logPath });
  const followed = all({ follow: true, ended: container.process.exited }, logPath);
  fixture.runtime.keepLog(spec.id, { path: logPath, maxBytes: 8_000, maxFiles: 100 });
  await container.start();
  const whole = Array.from({ length: 1500 }, (_, i) => `line ${i + 1}\n`).join('');
  assert.equal(text(await followed), whole);
  const files = readdirSync(fixture.folder).filter((name) => name.startsWith(`${spec.id}.log`));
  assert.ok(files.length > 3, files.join(' '));
  assert.equal(text(await all({}, logPath)), whole);
  const tail = await all({ tail: 700 }, logPath);
  assert.deepEqual([tail.length, text(tail).split('\n')[0]], [700, 'line 801']);
  await fixture.runtime.delete(spec.id);
});

test('an abort ends a follower', async (t) => {
  if (!requireRoot(t)) return;
  const { id, logPath } = await fixture.run(['sleep', '60']);
  const controller = new AbortController();
  const followed = all({ follow: true, signal: controller.signal }, logPath);
  await delay(50);
  controller.abort(new Error('enough'));
  await assert.rejects(followed, /enough/);
  await fixture.runtime.delete(id, { force: true });
});

test('following ends at a time in the future', async (t) => {
  if (!requireRoot(t)) return;
  const { id, logPath } = await fixture.run(['sh', '-c', 'echo early; sleep 60']);
  const untilNs = BigInt(Date.now() + 300) * 1_000_000n;
  const records = await all({ follow: true, untilNs }, logPath);
  assert.equal(text(records), 'early\n');
  await fixture.runtime.delete(id, { force: true });
});
