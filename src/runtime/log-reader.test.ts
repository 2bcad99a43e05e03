import assert from 'node:assert/strict';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { temporaryFolder } from '#testing';
import { readLog } from './log-reader.ts';
import { parseLogLine } from './log-record.ts';
import type { LogQuery, LogRecord } from './types.ts';

const second = 1_000_000_000n;
const start = BigInt(Date.parse('2026-11-21T03:00:00Z')) * 1_000_000n;

function line(text: string, options: { at?: number; stream?: string; tag?: string } = {}): string {
  const { at = 0, stream = 'stdout', tag = 'F' } = options;
  const time = new Date(Date.parse('2026-11-21T03:00:00Z') + at * 1000).toISOString().slice(0, 19);
  return `${time}.000000001+00:00 ${stream} ${tag} ${text}\n`;
}

async function read(content: string | Buffer, query: LogQuery): Promise<LogRecord[]> {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'log');
  await writeFile(path, content);
  const records: LogRecord[] = [];
  for await (const record of readLog(path, query)) records.push(record);
  return records;
}

const texts = (records: readonly LogRecord[]) => records.map((record) => Buffer.from(record.line).toString());

test('a record is time to the nanosecond, stream, bytes', () => {
  const whole = parseLogLine(Buffer.from('2026-11-21T05:00:00.123456789+02:00 stderr F a b \n'));
  assert.equal(whole?.timeNs, start + 123_456_789n);
  assert.equal(whole?.time.toISOString(), '2026-11-21T03:00:00.123Z');
  assert.deepEqual([whole?.stream, whole?.partial], ['stderr', false]);
  assert.equal(Buffer.from(whole!.line).toString(), 'a b \n');
  const part = parseLogLine(Buffer.from('2026-11-21T03:00:00.1Z stdout P piece\n'));
  assert.equal(part?.timeNs, start + 100_000_000n);
  assert.equal(Buffer.from(part!.line).toString(), 'piece');
  assert.equal(part?.partial, true);
});

test('lines that are none of ours are passed over', async () => {
  const bad = ['', 'x', '2026-11-21T03:00:00Z', 'never stdout F x', '2026-11-21T03:00:00Z stdin F x'];
  bad.push('2026-11-21T03:00:00Z stdout X x', '2026-11-21T03:00:00.1234567890Z stdout F x');
  for (const text of bad) assert.equal(parseLogLine(Buffer.from(`${text}\n`)), undefined, text);
  assert.deepEqual(texts(await read(`${bad.join('\n')}\n${line('good')}`, {})), ['good\n']);
});

test('since, until and streams', async () => {
  const log = [0, 1, 2, 3].map((at) => line(`${at}`, { at, stream: at % 2 ? 'stderr' : 'stdout' })).join('');
  assert.deepEqual(texts(await read(log, { sinceNs: start + second })), ['1\n', '2\n', '3\n']);
  assert.deepEqual(texts(await read(log, { untilNs: start + second + 1n })), ['0\n', '1\n']);
  assert.deepEqual(texts(await read(log, { stderr: false })), ['0\n', '2\n']);
  assert.deepEqual(texts(await read(log, { tail: 2, stdout: false })), ['3\n']);
});

test('the tail is the end of the whole, at any size', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.nat(40), fc.constantFrom(65_000, 70_000)), { maxLength: 12 }),
      fc.nat(14),
      async (sizes, tail) => {
        const log = sizes.map((size, i) => line(`${i}${'x'.repeat(size)}`)).join('');
        const all = texts(await read(log, {}));
        assert.equal(all.length, sizes.length);
        assert.deepEqual(texts(await read(log, { tail })), tail === 0 ? [] : all.slice(-tail));
      },
    ),
    { numRuns: 40 },
  );
});

test('a log that is not there is empty', async () => {
  for await (const _ of readLog('/nowhere/log', { follow: true })) assert.fail('a record of nothing');
});

test('a line in the making is not a line; following waits for its end, and reads on after a cut', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'log');
  const whole = line('second');
  await writeFile(path, line('first') + whole.slice(0, 50));
  const end = Promise.withResolvers<void>();
  const records = readLog(path, { follow: true, ended: end.promise });
  const next = async () => Buffer.from((await records.next()).value!.line).toString();
  assert.equal(await next(), 'first\n');
  const second = next();
  await delay(20);
  await appendFile(path, whole.slice(50));
  assert.equal(await second, 'second\n');
  await writeFile(path, line('anew'));
  assert.equal(await next(), 'anew\n');
  await appendFile(path, line('last'));
  end.resolve();
  assert.equal(await next(), 'last\n');
  assert.equal((await records.next()).done, true);
});
