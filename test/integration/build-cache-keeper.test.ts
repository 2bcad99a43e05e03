import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Engine, type EngineOptions } from 'wherry';
import { requireRoot, temporaryFolder } from '#testing';
import { baseImageTar } from '../../scripts/base-image.ts';
import { drain, inPieces, noise, tarOf } from './crash-fixture.ts';
import { eventually } from './daemon-fixture.ts';

/** An engine of its own with such rules, and an image built in it: of two copies, a large and a small one. */
async function withBuilt(
  buildCache: NonNullable<EngineOptions['buildCache']>,
  work: (engine: Engine) => Promise<void>,
): Promise<void> {
  await using folder = await temporaryFolder('wherry-keeper-');
  const root = join(folder.path, 'root');
  {
    await using engine = await Engine.open({
      root,
      execRoot: join(folder.path, 'run'),
      buildCache,
      network: { bridge: 'none' },
    });
    await drain(engine.images.import(inPieces(baseImageTar()), { repo: 'base', changes: ['ENV PATH=/bin'] }));
    const context = tarOf({
      Dockerfile: 'FROM base\nCOPY large /\nCOPY small /\n',
      large: noise(4 << 20),
      small: noise(1 << 20),
    });
    await drain(engine.build(inPieces(context), { t: ['app'] }));
    await work(engine);
  }
}

const records = async (engine: Engine) => (await engine.system.df()).BuildCache ?? [];

test('after a build the cache is brought within its bounds, and what is in use stays whole', async (t) => {
  if (!requireRoot(t)) return;
  await withBuilt({ rules: [{ all: true, maxUsedSpaceBytes: 2 << 20 }], delayMs: 50 }, async (engine) => {
    const left = await eventually(async () => {
      const found = await records(engine);
      return found.length < 2 ? found : undefined;
    });
    assert.deepEqual(
      left?.map(({ Size }) => Size > 0 && Size < 2 << 20),
      [true],
      'the larger one, used before the other, went',
    );
    assert.deepEqual(await engine.trash.list(), [], 'room is what it was for');
    const { Id } = await engine.containers.create({
      Image: 'app',
      Cmd: ['wc', '-c', '/large'],
      HostConfig: { NetworkMode: 'none' },
    });
    const { result } = await engine.containers.wait(Id, { condition: 'next-exit' });
    await engine.containers.start(Id);
    assert.equal((await result).StatusCode, 0);
    await engine.containers.remove(Id);
  });
});

test('standard rules leave a small cache alone; without rules nothing is ever looked at', async (t) => {
  if (!requireRoot(t)) return;
  for (const buildCache of [{ delayMs: 1 }, { rules: [], delayMs: 1 }]) {
    await withBuilt(buildCache, async (engine) => {
      await wait(300);
      assert.equal((await records(engine)).length, 2);
    });
  }
});
