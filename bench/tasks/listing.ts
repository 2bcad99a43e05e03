import { patiently, samplerOf, type Task, timed } from '../task.ts';

const atOnce = 500;

/** What a store with many images answers. */
export const listing: Task = {
  name: 'listing',
  about: 'docker images and docker ps -a beside as many images as --images says',
  metrics: { images: 'ms', ps: 'ms' },
  samples: 9,
  warmUps: 2,
  async open({ docker }, bench) {
    await using stack = new AsyncDisposableStack();
    const { path, names } = await bench.many();
    stack.defer(async () => {
      for (let from = 0; from < names.length; from += atOnce)
        await patiently({ docker }, 'rmi', ...names.slice(from, from + atOnce)).catch(() => undefined);
    });
    await patiently({ docker }, 'load', '-q', '-i', path);
    return samplerOf(stack, async () => ({
      images: await timed(() => docker.ok('images', '-q')),
      ps: await timed(() => docker.ok('ps', '-a')),
    }));
  },
};
