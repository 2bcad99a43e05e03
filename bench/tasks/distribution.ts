import { patiently, prefix, samplerOf, type Task, timed } from '../task.ts';

/** A large image to a registry on loopback and back. */
export const distribution: Task = {
  name: 'distribution',
  about: 'the synthetic image: push to an empty registry (left out when the registry is not our own), cold pull',
  metrics: { push: 'ms', pull: 'ms' },
  samples: 2,
  warmUps: 0,
  async open({ docker, registry }, bench) {
    await using stack = new AsyncDisposableStack();
    const image = await bench.image();
    const server = await registry();
    const remote = `${server.address}/${prefix}:latest`;
    stack.defer(async () => void (await docker.run(['rmi', '-f', remote, image.name])));
    return samplerOf(stack, async () => {
      await patiently({ docker }, 'load', '-q', '-i', image.path);
      await patiently({ docker }, 'tag', image.name, remote);
      const isEmpty = await server.wipe();
      const push = await timed(() => patiently({ docker }, 'push', '-q', remote));
      await patiently({ docker }, 'rmi', remote, image.name);
      const pull = await timed(() => patiently({ docker }, 'pull', '-q', remote));
      return isEmpty ? { push, pull } : { pull };
    });
  },
};
