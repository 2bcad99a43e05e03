import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BuildCacheRecord } from '#metadata';
import type { KeyComponents } from '../executor/index.ts';
import { EarlierSteps } from './nearest.ts';

const step = (parent: string, line: number, text: string): KeyComponents => ({
  parent,
  platform: 'linux/amd64',
  operation: 'run',
  written: { text, line, variables: {} },
});

function nearest(now: KeyComponents, ...before: readonly KeyComponents[]): string | undefined {
  const records = before.map((components, at) => ({ components, createdMs: 1, lastUsedMs: at }));
  return new EarlierSteps(records as unknown as BuildCacheRecord[], 2).nearest(now)?.components.written?.text;
}

test('the same line above another state, a reworded line at its place, a moved line', () => {
  assert.equal(nearest(step('b', 9, 'RUN make'), step('a', 3, 'RUN make')), 'RUN make');
  assert.equal(nearest(step('a', 3, 'RUN ninja'), step('a', 3, 'RUN make all')), 'RUN make all');
  assert.equal(nearest(step('a', 4, 'RUN make all'), step('a', 3, 'RUN make some')), 'RUN make some');
});

test('a line of another Dockerfile that has only its number or its base in common is a stranger', () => {
  assert.equal(nearest(step('b', 3, 'RUN make'), step('a', 3, 'RUN apt-get update')), undefined);
  assert.equal(nearest(step('a', 7, 'RUN make'), step('a', 3, 'RUN apt-get update')), undefined);
  assert.equal(nearest(step('a', 3, 'COPY . .'), step('a', 3, 'RUN apt-get update')), undefined);
});
