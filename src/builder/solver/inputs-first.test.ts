import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inputsFirst, predict, Solver, type Vertex } from './index.ts';

function vertex(digest: string, inputs: readonly Vertex<number>[]): Vertex<number> {
  const execute = async (values: readonly number[]) => values.reduce((sum, value) => sum + value, 1);
  return { digest, inputs, heavy: false, op: { cacheKey: async () => undefined, execute } };
}

const nothing = { load: async () => undefined, save: async () => {} };
const { signal } = new AbortController();

test('each vertex once, after what it stands on', () => {
  const base = vertex('base', []);
  const [left, right] = [vertex('left', [base]), vertex('right', [base])];
  const end = vertex('end', [left, right]);
  assert.deepEqual(
    inputsFirst([left, end]).map(({ digest }) => digest),
    ['base', 'left', 'right', 'end'],
  );
});

test('a chain of twenty thousand is solved and predicted', async () => {
  let last = vertex('0', []);
  for (let number = 1; number < 20_000; number++) last = vertex(String(number), [last]);
  const options = { signal, cache: nothing, ignoreCache: false };
  assert.deepEqual(await new Solver<number>(1).solve([last], { ...options, onEvent: () => {} }), [20_000]);
  const predictions = await predict([last], { ...options, isUnknown: () => false });
  assert.equal(predictions.get('19999')?.kind, 'free');
});
