import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withParents } from './changes.ts';
import type { Compared } from './compare-upper.ts';

function item(kind: Compared['kind'], path: string): Compared {
  return { kind, path } as Compared;
}

function listed(...items: readonly Compared[]): string[] {
  return [...withParents(items)].map(({ kind, path }) => `${kind} ${path}`);
}

test('an unchanged folder counts as changed when something in it is, and only then', () => {
  assert.deepEqual(
    listed(item('same', 'a'), item('same', 'a/b'), item('add', 'a/b/c'), item('same', 'd'), item('same', 'e')),
    ['modify a', 'modify a/b', 'add a/b/c'],
  );
});

test('a folder is not confused with a neighbour that begins alike', () => {
  assert.deepEqual(listed(item('same', 'a'), item('add', 'ab')), ['add ab']);
});

test('a folder is named once', () => {
  assert.deepEqual(listed(item('same', 'a'), item('delete', 'a/x'), item('same', 'a/y'), item('add', 'a/y/z')), [
    'modify a',
    'delete a/x',
    'modify a/y',
    'add a/y/z',
  ]);
});
