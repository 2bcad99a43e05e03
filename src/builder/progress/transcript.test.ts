import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProgressMessage } from '#transfer';
import { Transcript } from './transcript.ts';

function recorded(totalSteps: number, quiet = false) {
  const messages: ProgressMessage[] = [];
  const transcript = new Transcript({
    totalSteps,
    quiet,
    keepSteps: 'failed',
    onProgress: (message) => messages.push(message),
  });
  return { transcript, text: () => messages.map((message) => message.stream ?? '').join('') };
}

test('steps print in order whatever order they run in, the first one as it goes', () => {
  const { transcript, text } = recorded(3);
  for (const step of [1, 2, 3]) transcript.begin(step, `S${step}`);
  assert.equal(text(), 'Step 1/3 : S1\n');
  transcript.line(3, 'three');
  transcript.end(3);
  transcript.line(2, 'two');
  transcript.line(1, 'one');
  assert.equal(text(), 'Step 1/3 : S1\none\n');
  transcript.end(1);
  assert.equal(text(), 'Step 1/3 : S1\none\nStep 2/3 : S2\ntwo\n');
  transcript.end(2);
  assert.equal(text(), 'Step 1/3 : S1\none\nStep 2/3 : S2\ntwo\nStep 3/3 : S3\nthree\n');
});

test('output keeps characters whole, standard error is red', () => {
  const { transcript, text } = recorded(1);
  const bytes = Buffer.from('é');
  transcript.report(1, { kind: 'output', stream: 'stdout', data: bytes.subarray(0, 1) });
  transcript.report(1, { kind: 'output', stream: 'stderr', data: Buffer.from('e') });
  transcript.report(1, { kind: 'output', stream: 'stdout', data: bytes.subarray(1) });
  assert.equal(text(), '\u001b[91me\u001b[0mé');
});

test('a failure prints everything up to its step and nothing after', () => {
  const { transcript, text } = recorded(3);
  for (const step of [1, 2, 3]) transcript.begin(step, `S${step}`);
  transcript.line(2, 'two');
  transcript.line(3, 'three');
  transcript.fail(2);
  assert.equal(text(), 'Step 1/3 : S1\nStep 2/3 : S2\ntwo\n');
});

test('quiet builds speak only when they fail', () => {
  const { transcript, text } = recorded(1, true);
  transcript.begin(1, 'S');
  assert.equal(text(), '');
  transcript.fail(1);
  assert.equal(text(), 'Step 1/1 : S\n');
});

test('endless output of a step that waits is held only in part', () => {
  const { transcript, text } = recorded(2);
  transcript.begin(2, 'S2');
  for (let i = 0; i < 30_000; i++) transcript.line(2, `line ${i}`);
  transcript.end(1);
  assert.ok(
    text().startsWith('[10002 earlier lines of output are not shown]\nStep 2/2 : S2\nline 10002\n'),
    text().slice(0, 200),
  );
  assert.ok(text().endsWith('line 29999\n'));
});
