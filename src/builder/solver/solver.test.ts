import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import fc from 'fast-check';
import { type CacheKey, type ResultCache, type SolveOptions, Solver, type Vertex, type Work } from './index.ts';

class MemoryCache implements ResultCache<string> {
  readonly results = new Map<string, string>();
  saves = 0;
  async load(key: CacheKey) {
    return this.results.get(key.digest);
  }
  async save(key: CacheKey, result: string) {
    await wait(1);
    this.saves++;
    this.results.set(key.digest, result);
  }
}

interface Log {
  readonly executed: string[];
  readonly events: string[];
}

function newLog(): Log {
  return { executed: [], events: [] };
}

function vertex(
  name: string,
  inputs: readonly Vertex<string>[],
  log: Log,
  body: (work: Work) => Promise<void> = async () => {},
  heavy = true,
): Vertex<string> {
  return {
    digest: `${name}(${inputs.map((input) => input.digest).join(',')})`,
    inputs,
    heavy,
    op: {
      async cacheKey(values) {
        return { digest: `${name}[${values.join(',')}]`, components: { name, values }, description: name };
      },
      async execute(values, work) {
        log.executed.push(name);
        await body(work);
        return `${name}<${values.join(',')}>`;
      },
    },
  };
}

function options(cache: ResultCache<string>, log: Log, more: Partial<SolveOptions<string>> = {}): SolveOptions<string> {
  return {
    signal: new AbortController().signal,
    cache,
    ignoreCache: false,
    onEvent: (at, event) => {
      if (event.kind !== 'report') log.events.push(`${at.digest.split('(')[0]} ${event.kind}`);
      else log.events.push(`${at.digest.split('(')[0]}: ${String(event.event)}`);
    },
    ...more,
  };
}

test('inputs come first, a shared vertex runs once, results are cached', async () => {
  const log = newLog();
  const cache = new MemoryCache();
  const solver = new Solver<string>(4);
  const base = vertex('base', [], log);
  const target = vertex('join', [vertex('left', [base], log), vertex('right', [base], log)], log);
  assert.deepEqual(await solver.solve([target], options(cache, log)), ['join<left<base<>>,right<base<>>>']);
  assert.deepEqual(log.executed, ['base', 'left', 'right', 'join']);
  await wait(5);
  const again = newLog();
  await solver.solve(
    [vertex('join', [vertex('left', [base], again), vertex('right', [base], again)], again)],
    options(cache, again),
  );
  assert.deepEqual(again.executed, []);
  assert.equal(again.events.filter((event) => event.endsWith(' hit')).length, 4);
});

test('independent vertices run beside each other, heavy ones up to the limit', async () => {
  const log = newLog();
  let running = 0;
  let most = 0;
  const body = async () => {
    most = Math.max(most, ++running);
    await wait(10);
    running--;
  };
  const leaves = ['a', 'b', 'c', 'd', 'e'].map((name) => vertex(name, [], log, body));
  await new Solver<string>(2).solve(leaves, options(new MemoryCache(), log));
  assert.equal(most, 2);
});

test('concurrent builds share a vertex and its reports', async () => {
  const cache = new MemoryCache();
  const solver = new Solver<string>(4);
  const logs = Array.from({ length: 10 }, newLog);
  await Promise.all(
    logs.map((log, index) =>
      wait(index).then(() =>
        solver.solve(
          [
            vertex('shared', [], log, async (work) => {
              work.report('one');
              await wait(30);
              work.report('two');
            }),
          ],
          options(cache, log),
        ),
      ),
    ),
  );
  assert.equal(logs.flatMap((log) => log.executed).length, 1);
  for (const log of logs)
    assert.deepEqual(
      log.events.filter((event) => event.includes(':')),
      ['shared: one', 'shared: two'],
    );
  assert.equal(cache.saves, 1);
});

test('the maker is cancelled, another build takes over', async () => {
  const cache = new MemoryCache();
  const solver = new Solver<string>(4);
  const first = newLog();
  const second = newLog();
  const controller = new AbortController();
  const untilAborted = async (work: Work) => {
    await wait(600_000, undefined, { signal: work.signal });
  };
  const cancelled = solver.solve(
    [vertex('v', [], first, untilAborted)],
    options(cache, first, { signal: controller.signal }),
  );
  while (first.executed.length === 0) await wait(1);
  const other = solver.solve([vertex('v', [], second)], options(cache, second));
  await wait(5);
  controller.abort(new Error('client left'));
  await assert.rejects(cancelled);
  assert.deepEqual(await other, ['v<>']);
  assert.deepEqual([first.executed, second.executed], [['v'], ['v']]);
});

test('a follower that is cancelled leaves the maker alone', async () => {
  const cache = new MemoryCache();
  const solver = new Solver<string>(4);
  const log = newLog();
  const controller = new AbortController();
  const maker = solver.solve([vertex('v', [], log, async () => void (await wait(30)))], options(cache, log));
  await wait(5);
  const follower = solver.solve([vertex('v', [], log)], options(cache, log, { signal: controller.signal }));
  controller.abort(new Error('gone'));
  await assert.rejects(follower, /gone/);
  assert.deepEqual(await maker, ['v<>']);
});

test('the first failure aborts the rest, and all have ended when it is thrown', async () => {
  const log = newLog();
  let ended = false;
  const slow = vertex('slow', [], log, async (work) => {
    try {
      await wait(10_000, undefined, { signal: work.signal });
    } finally {
      ended = true;
    }
  });
  const bad = vertex('bad', [], log, async () => {
    throw new Error('broken');
  });
  await assert.rejects(new Solver<string>(4).solve([slow, bad], options(new MemoryCache(), log)), /broken/);
  assert.equal(ended, true);
});

test('ignoring the cache executes again and keeps the result', async () => {
  const log = newLog();
  const cache = new MemoryCache();
  cache.results.set('v[]', 'old');
  const solver = new Solver<string>(1);
  assert.deepEqual(await solver.solve([vertex('v', [], log)], options(cache, log, { ignoreCache: true })), ['v<>']);
  await wait(5);
  assert.equal(cache.results.get('v[]'), 'v<>');
});

test('random graphs: every vertex once, after its inputs', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.nat(20), { maxLength: 3 }), { minLength: 1, maxLength: 15 }),
      async (shape) => {
        const log = newLog();
        const vertices: Vertex<string>[] = [];
        shape.forEach((inputs, index) => {
          const chosen = index === 0 ? [] : [...new Set(inputs.map((input) => vertices[input % index]!))];
          vertices.push({ ...vertex(`v${index}`, chosen, log), digest: `v${index}` });
        });
        await new Solver<string>(3).solve([vertices.at(-1)!], options(new MemoryCache(), log));
        assert.equal(new Set(log.executed).size, log.executed.length);
        const order = new Map(log.executed.map((name, at) => [name, at]));
        for (const at of vertices) {
          if (!order.has(at.digest)) continue;
          for (const input of at.inputs) assert.ok(order.get(input.digest)! < order.get(at.digest)!);
        }
      },
    ),
    { numRuns: 50 },
  );
});
