import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Program } from './program.ts';

test('a program is its instructions, letter and operands', () => {
  const program = new Program()
    .create('/n')
    .enter('/n')
    .write('/f', '1')
    .remove('/n')
    .sendFilter(
      'ask',
      {
        bytes: Buffer.from('abcdefgh'),
        acks: 2,
        patches: [
          { offset: 4, kind: 'link-index', value: 'eth0' },
          { offset: 0, kind: 'namespace', value: '/n' },
        ],
      },
      { lenient: true },
    );
  assert.equal(
    program.encode().toString('latin1'),
    'C\x02\0/nE\x02\0/nW\x02\0/f\x01\x001R\x02\0/n' +
      'S\x0c\0\x01\0\x02\0\0\0\x02\0\x04\0\0\0I\x04\0eth0\0\0\0\0F\x02\0/n\x08\0\0\0abcdefgh',
  );
  assert.equal(program.failureText(4, 'EPERM', 'no'), 'ask: no');
  assert.equal(program.failureText(0, 'EPERM', 'no'), 'create network namespace /n: no');
  assert.equal(program.failureText(9, 'EPERM', 'no'), 'network helper: no');
});
