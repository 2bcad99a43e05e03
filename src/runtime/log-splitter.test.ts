import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LogSplitter } from './log-splitter.ts';
import type { LogMark, LogMessage } from './types.ts';

const file = '7:1';
const piece = 16 * 1024;
const begin: LogMark = { file, offset: 0, taken: 0 };

/** One of conmon's records. */
const record = (text: string, stream = 'stdout', tag = 'F') =>
  `2026-11-21T03:00:00.000000001+00:00 ${stream} ${tag} ${text}\n`;

const copied = ({ text, part, isStderr, mark }: LogMessage) => ({
  text: Buffer.from(text).toString('latin1'),
  ordinal: part?.ordinal,
  isLast: part?.isLast,
  isStderr,
  mark,
});

/** What a log gives from a mark on, to its end. */
function split(log: string, from: LogMark = begin) {
  const splitter = new LogSplitter(from);
  const data = Buffer.from(log, 'latin1').subarray(from.offset);
  const end = { file, offset: log.length };
  const messages = [...splitter.messages(data, { file, offset: from.offset })].map(copied);
  return [...messages, ...[...splitter.rest(end)].map(copied)];
}

const texts = (log: string, from?: LogMark) => split(log, from).map(({ text }) => text);

test('lines come whole, each of its own stream', () => {
  const log =
    record('a', 'stdout', 'P') + record('x', 'stderr') + record('b') + record('') + record('rest', 'stdout', 'P');
  const messages = split(log);
  assert.deepEqual(
    messages.map(({ text }) => text),
    ['x', 'ab', '', 'rest'],
  );
  assert.deepEqual(
    messages.map(({ isStderr }) => isStderr),
    [true, false, false, false],
  );
  assert.deepEqual(messages.at(-1)?.mark, { file, offset: log.length, taken: 0 });
});

test('a long line is numbered pieces', () => {
  const long = 'l'.repeat(8000);
  const log = record(long, 'stdout', 'P').repeat(4) + record('end') + record('next');
  const parts = split(log).map(({ text, ordinal, isLast }) => [text.length, ordinal, isLast]);
  assert.deepEqual(parts, [
    [piece, 1, false],
    [32_003 - piece, 2, true],
    [4, undefined, undefined],
  ]);
});

test('who goes on from any message’s mark gets exactly those behind it', () => {
  const records = fc.array(
    fc.tuple(fc.nat({ max: 40_000 }), fc.constantFrom('stdout', 'stderr'), fc.constantFrom('F', 'P')),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(records, (given) => {
      const log = given.map(([size, stream, tag], at) => record(String(at % 10).repeat(size), stream, tag)).join('');
      const all = split(log);
      for (const [at, { mark }] of all.entries()) {
        assert.deepEqual(
          texts(log, mark),
          all.slice(at + 1).map(({ text }) => text),
        );
      }
    }),
    { numRuns: 60 },
  );
});
