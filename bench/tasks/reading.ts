import { writeFile } from 'node:fs/promises';
import { patiently, prefix, samplerOf, type Task, timed } from '../task.ts';

const name = `${prefix}-reader`;

/** Files of an image that no cache has. */
export const reading: Task = {
  name: 'reading',
  about:
    'every file of the synthetic image read in a container, with the kernel having none of them in memory (root only)',
  metrics: { 'cold-read': 'ms', 'warm-read': 'ms' },
  samples: 3,
  warmUps: 0,
  async open({ docker }, bench) {
    await using stack = new AsyncDisposableStack();
    const image = await bench.image();
    stack.defer(async () => void (await docker.run(['rmi', '-f', image.name])));
    stack.defer(async () => void (await docker.run(['rm', '-f', name])));
    await patiently({ docker }, 'load', '-q', '-i', image.path);
    await docker.ok('run', '-d', '--name', name, image.name, 'sleep', '100000');
    const read = () =>
      timed(() => patiently({ docker }, 'exec', name, 'sh', '-c', 'find /srv -type f -exec cat {} + >/dev/null'));
    return samplerOf(stack, async () => {
      await docker.ok('exec', name, 'sync');
      await writeFile('/proc/sys/vm/drop_caches', '3');
      return { 'cold-read': await read(), 'warm-read': await read() };
    });
  },
};
