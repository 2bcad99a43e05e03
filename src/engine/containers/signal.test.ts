import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSignal } from './signal.ts';

test('signals by number and by name', () => {
  const known = { '9': 9, '64': 64, KILL: 9, SIGKILL: 9, sigusr1: 10, 'RTMIN+3': 37, 'SIGRTMAX-1': 63, RTMIN: 34 };
  for (const [text, number] of Object.entries(known)) assert.equal(parseSignal(text), number, text);
  for (const text of ['', '0', 'BOGUS', 'RTMIN+40', '-1', '9x']) {
    assert.throws(() => parseSignal(text), { message: `invalid signal: ${text}`, kind: 'invalid-argument' });
  }
  assert.throws(() => parseSignal('99'), { message: 'the linux daemon does not support signal 99' });
});
