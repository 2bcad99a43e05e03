import assert from 'node:assert/strict';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { decodeFrames } from '#http';
import { temporaryFolder } from '#testing';
import { readLog } from './log-reader.ts';
import type { LogQuery } from './types.ts';

const start = BigInt(Date.parse('2026-11-21T03:00:00Z')) * 1_000_000n;
const second = 1_000_000_000n;
const message = 16 * 1024;

/** One of conmon's records. */
function line(text: string, options: { at?: number; stream?: string; tag?: string } = {}): string {
  const { at = 0, stream = 'stdout', tag = 'F' } = options;
  const time = new Date(Date.parse('2026-11-21T03:00:00Z') + at * 1000).toISOString().slice(0, 19);
  return `${time}.000000001+00:00 ${stream} ${tag} ${text}\n`;
}

async function* messages(frames: AsyncIterable<Uint8Array>): AsyncGenerator<{ stream: string; text: string }> {
  for await (const { stream, data } of decodeFrames(frames))
    yield { stream, text: Buffer.from(data).toString('latin1') };
}

async function readFiles(files: readonly string[], query: LogQuery): Promise<{ stream: string; text: string }[]> {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'log');
  for (const [at, content] of files.entries()) {
    const age = files.length - 1 - at;
    await writeFile(age === 0 ? path : `${path}.${age}`, content);
  }
  return await Array.fromAsync(messages(readLog(path, query)));
}

async function read(content: string, query: LogQuery): Promise<string[]> {
  return (await readFiles([content], query)).map(({ text }) => text);
}

test('a message is stream and bytes; its time goes in front when it is asked for', async () => {
  const log = '2026-11-21T05:00:00.12+02:00 stderr F a b \n2026-11-21T03:00:00Z stdout F \n';
  assert.deepEqual(await readFiles([log], {}), [
    { stream: 'stderr', text: 'a b \n' },
    { stream: 'stdout', text: '\n' },
  ]);
  assert.deepEqual(await read(log, { timestamps: true, front: Buffer.from('x=1 ') }), [
    '2026-11-21T03:00:00.120000000Z x=1 a b \n',
    '2026-11-21T03:00:00.000000000Z x=1 \n',
  ]);
});

test('messages of one stream that follow each other share a frame for who asks for that', async () => {
  const frames = async (log: string) => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'log');
    await writeFile(path, log);
    const bytes = Buffer.concat(await Array.fromAsync(readLog(path, { joined: true })));
    const found: [number, string][] = [];
    for (let at = 0; at < bytes.length; at += 8 + bytes.readUInt32BE(at + 4)) {
      found.push([bytes[at]!, bytes.toString('utf8', at + 8, at + 8 + bytes.readUInt32BE(at + 4))]);
    }
    return found;
  };
  const error = line('c', { stream: 'stderr' });
  assert.deepEqual(await frames(line('a') + line('b') + error + line('d')), [
    [1, 'a\nb\n'],
    [2, 'c\n'],
    [1, 'd\n'],
  ]);
  const many = await frames(line('x'.repeat(999)).repeat(100));
  assert.equal(many.map(([, text]) => text).join(''), `${'x'.repeat(999)}\n`.repeat(100));
  assert.ok(many.length > 3 && many.every(([, text]) => text.length <= 32 * 1024), `${many.length} frames`);
});

test('a terminal’s log has no frames', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'log');
  await writeFile(path, line('a\r') + line('b', { tag: 'P' }) + line('c\r'));
  const bytes = Buffer.concat(await Array.fromAsync(readLog(path, { bare: true })));
  assert.equal(bytes.toString(), 'a\r\nbc\r\n');
});

test('lines that are none of ours are passed over', async () => {
  const bad = ['', 'x', '2026-11-21T03:00:00Z', 'never stdout F x', '2026-11-21T03:00:00Z stdin F x'];
  bad.push('2026-11-21T03:00:00Z stdout X x', '2026-11-21T03:00:00.1234567890+00:00 stdout F x');
  assert.deepEqual(await read(`${bad.join('\n')}\n${line('good')}`, {}), ['good\n']);
  const times = ['2026-11-21T33:00:00Z', '2026-11-21T03:00:00.1234567890Z', '2026-11-21T03:00:00.x1Z'];
  const log = times.map((time) => `${time} stdout F x\n`).join('') + line('good');
  assert.deepEqual(await read(log, { sinceNs: start }), ['good\n']);
});

test('since, until and streams', async () => {
  const log = [0, 1, 2, 3].map((at) => line(`${at}`, { at, stream: at % 2 ? 'stderr' : 'stdout' })).join('');
  assert.deepEqual(await read(log, { sinceNs: start + second }), ['1\n', '2\n', '3\n']);
  assert.deepEqual(await read(log, { sinceNs: start + second + 2n }), ['2\n', '3\n']);
  assert.deepEqual(await read(log, { untilNs: start + second + 1n }), ['0\n', '1\n']);
  assert.deepEqual(await read(log, { stderr: false }), ['0\n', '2\n']);
  assert.deepEqual(await read(log, { tail: 2, stdout: false }), ['3\n']);
});

test('pieces of a line are one message, each stream’s by itself, with the time of the first', async () => {
  const log = [
    line('out ', { tag: 'P' }),
    line('err ', { at: 1, stream: 'stderr', tag: 'P' }),
    line('whole', { at: 2, stream: 'stderr' }),
    line('put', { at: 3 }),
  ].join('');
  assert.deepEqual(await readFiles([log], {}), [
    { stream: 'stderr', text: 'err whole\n' },
    { stream: 'stdout', text: 'out put\n' },
  ]);
  assert.deepEqual(await read(log, { timestamps: true, stderr: false }), ['2026-11-21T03:00:00.000000001Z out put\n']);
  assert.deepEqual(await read(log, { sinceNs: start + second }), ['err whole\n']);
  assert.deepEqual(await read(log, { tail: 1 }), ['out put\n']);
});

test('a line beyond 16 KiB is cut as Docker cuts it, however it came', async () => {
  for (const [length, pieces] of [
    [message - 1, [message]],
    [message, [message, 1]],
    [message + 1, [message, 2]],
    [2 * message, [message, message, 1]],
    [40_000, [message, message, 40_001 - 2 * message]],
  ] as const) {
    const text = 'x'.repeat(length);
    const parts = (text.match(/.{1,8192}/g) ?? []).map((part) => line(part, { tag: 'P' })).join('') + line('');
    for (const log of [line(text), parts]) {
      const read1 = await read(log, {});
      assert.deepEqual(
        read1.map((one) => one.length),
        pieces,
      );
      assert.equal(read1.join(''), `${text}\n`);
      assert.deepEqual(await read(line('before') + log, { tail: pieces.length }), read1);
      assert.deepEqual(await read(log, { tail: 1 }), read1.slice(-1));
    }
  }
});

test('what has no end yet is shown once nobody can end it', async () => {
  const log = line('whole') + line('prompt> ', { tag: 'P' });
  assert.deepEqual(await read(log, {}), ['whole\n']);
  assert.deepEqual(await read(log, { unfinished: true }), ['whole\n', 'prompt> ']);
  assert.deepEqual(await read(log, { unfinished: true, tail: 1 }), ['prompt> ']);
  assert.deepEqual(await read(log, { tail: 1 }), ['whole\n']);
});

const piece = fc.record({
  isStderr: fc.boolean(),
  isPartial: fc.boolean(),
  size: fc.oneof(fc.nat(40), fc.constantFrom(8192, 16_384, 65_000)),
});

test('the tail is the end of the whole: any records, in any number of files', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 20 }),
      fc.array(fc.nat(20), { maxLength: 3 }),
      fc.nat(25),
      fc.boolean(),
      async (pieces, cuts, tail, unfinished) => {
        const records = pieces.map(({ isStderr, isPartial, size }, at) =>
          line(`${at}${'x'.repeat(size)}`, { stream: isStderr ? 'stderr' : 'stdout', tag: isPartial ? 'P' : 'F' }),
        );
        const edges = [0, ...cuts.sort((a, b) => a - b), records.length];
        const files = edges.slice(1).map((edge, at) => records.slice(edges[at], Math.max(edge, edges[at]!)).join(''));
        const all = await readFiles(files, { unfinished });
        const kept = await readFiles(files, { unfinished, tail });
        assert.deepEqual(kept, tail === 0 ? [] : all.slice(-tail));
      },
    ),
    { numRuns: 200 },
  );
});

test('a long log is found from its end, and its lines are whole', async () => {
  const log = Array.from({ length: 30_000 }, (_, at) => line(`line ${at}`)).join('');
  assert.deepEqual(await read(log, { tail: 2 }), ['line 29998\n', 'line 29999\n']);
  assert.equal((await read(log, {})).length, 30_000);
});

test('a log that is not there is empty', async () => {
  for await (const _ of readLog('/nowhere/log', { follow: true })) assert.fail('a record of nothing');
});

test('a record in the making is none; following waits for its end, and reads on after a cut', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'log');
  const whole = line('second');
  await writeFile(path, line('first') + whole.slice(0, 50));
  const end = Promise.withResolvers<void>();
  const followed = messages(readLog(path, { follow: true, ended: end.promise }));
  const next = async () => (await followed.next()).value?.text;
  assert.equal(await next(), 'first\n');
  const second = next();
  await delay(20);
  await appendFile(path, whole.slice(50));
  assert.equal(await second, 'second\n');
  await writeFile(path, line('anew'));
  assert.equal(await next(), 'anew\n');
  await appendFile(path, line('last', { tag: 'P' }));
  end.resolve();
  assert.equal(await next(), 'last');
  assert.equal((await followed.next()).done, true);
});
