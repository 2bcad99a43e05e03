import { patiently, samplerOf, type Task, timed } from '../task.ts';

/** What a store does with a long chain, and with bytes that are many. */
export const layers: Task = {
  name: 'layers',
  about: 'docker load of an image of 61 layers, and of one with as many megabytes of random bytes as of zeros',
  metrics: { 'load-61': 'ms', 'load-large': 'ms' },
  samples: 2,
  warmUps: 0,
  async open({ docker }, bench) {
    await using stack = new AsyncDisposableStack();
    const images = { 'load-61': await bench.deep(), 'load-large': await bench.large() };
    const names = Object.values(images).flatMap((image) => image.names);
    stack.defer(async () => void (await docker.run(['rmi', '-f', ...names])));
    return samplerOf(stack, async () => {
      const taken: Record<string, number> = {};
      for (const [metric, { path, names }] of Object.entries(images)) {
        taken[metric] = await timed(() => patiently({ docker }, 'load', '-q', '-i', path));
        await patiently({ docker }, 'rmi', ...names);
      }
      return taken;
    });
  },
};
