import assert from 'node:assert/strict';
import { test } from 'node:test';
import { journalEntry, journalName } from './journal-entry.ts';

const message = {
  isStderr: false,
  time: { seconds: Date.parse('2026-11-21T03:00:00Z') / 1000, nanos: 120_000_000 },
  text: Buffer.from([0x61, 0xff]),
  mark: { file: '', offset: 0, taken: 0 },
};
const entry = (...[fields, given]: Parameters<typeof journalEntry>) => journalEntry(fields, given).toString('latin1');

test('a message is fields, line by line', () => {
  assert.equal(
    entry({ CONTAINER_ID: 'abc' }, message),
    'CONTAINER_ID=abc\nPRIORITY=6\nSYSLOG_TIMESTAMP=2026-11-21T03:00:00.12Z\nMESSAGE=a\xff\n',
  );
  assert.match(entry({}, { ...message, isStderr: true }), /^PRIORITY=3\n/);
});

test('what has line feeds comes by its length', () => {
  assert.ok(entry({ NOTE: 'one\ntwo' }, message).startsWith('NOTE\n\x07\0\0\0\0\0\0\0one\ntwo\nPRIORITY=6\n'));
});

test('pieces of a line say so, and which they are', () => {
  const part = (ordinal: number, isLast: boolean) => entry({}, { ...message, part: { line: 'x', ordinal, isLast } });
  const [first, last] = [part(1, false), part(2, true)];
  const idOf = (text: string) => /^CONTAINER_PARTIAL_ID=([0-9a-f]{64})$/m.exec(text)?.[1];
  assert.ok(idOf(first));
  assert.equal(idOf(first), idOf(last));
  assert.match(first, /CONTAINER_PARTIAL_ORDINAL=1\nCONTAINER_PARTIAL_LAST=false\nCONTAINER_PARTIAL_MESSAGE=true\n/);
  assert.match(last, /CONTAINER_PARTIAL_ORDINAL=2\nCONTAINER_PARTIAL_LAST=true\nMESSAGE=/);
});

test('names the journal takes', () => {
  assert.equal(journalName('com.example.a-b'), 'COM_EXAMPLE_A_B');
  assert.equal(journalName('_secret'), 'SECRET');
});
