import assert from 'node:assert/strict';
import { test } from 'node:test';
import { object, string } from './decode.ts';

test('fields are in the order of their type, whatever the client’s, and by its names', () => {
  const decoder = object<{ A: string; B: string; C: string }>('test.Thing', { A: string(), B: string(), C: string() });
  const decoded = decoder.decode({ c: 'three', A: 'one', other: 'x', B: null }, '');
  assert.equal(JSON.stringify(decoded), '{"A":"one","C":"three"}');
});
