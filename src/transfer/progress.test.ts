import assert from 'node:assert/strict';
import { test } from 'node:test';
import { humanSize, progressBar, progressLine } from './progress.ts';
import type { ProgressMessage } from './types.ts';

test('sizes and bars are written as Docker writes them', () => {
  const sizes = [0, 97, 512, 999, 1000, 2048, 32768, 36445, 3146568, 999_950, 1.5e12];
  assert.deepEqual(sizes.map(humanSize), [
    '0B',
    '97B',
    '512B',
    '999B',
    '1kB',
    '2.048kB',
    '32.77kB',
    '36.45kB',
    '3.147MB',
    '1000kB',
    '1.5TB',
  ]);
  assert.equal(progressBar(36445, 3146568), '[>                                                  ]  36.45kB/3.147MB');
  assert.equal(progressBar(97, 97), '[==================================================>]      97B/97B');
  assert.equal(progressBar(2048, 2), '[==================================================>]  2.048kB');
  assert.equal(progressBar(2048, 0), ' 2.048kB');
});

test('bytes are told at most ten times a second, the last always', () => {
  const said: ProgressMessage[] = [];
  const line = progressLine((message) => said.push(message), 'abc');
  line.status('Preparing');
  for (let count = 1; count <= 1000; count++) line.bytes('Pushing', count, 1000);
  line.status('Pushed');
  assert.ok(said.length < 10, String(said.length));
  assert.deepEqual(said[0], { status: 'Preparing', progressDetail: {}, id: 'abc' });
  assert.deepEqual(said[1]?.progressDetail, { current: 1, total: 1000 });
  assert.deepEqual(said.at(-2)?.progressDetail, { current: 1000, total: 1000 });
  assert.deepEqual(said.at(-1)?.status, 'Pushed');
});
