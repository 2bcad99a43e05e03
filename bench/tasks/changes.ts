import { baseImage, prefix, samplerOf, type Task, timed, withBase } from '../task.ts';

const script = 'mkdir -p /srv/made; for i in $(seq 1000); do echo "$i" > /srv/made/$i; done; rm /etc/group';

/** What a stopped container changed, told and made an image. */
export const changes: Task = {
  name: 'changes',
  about: 'docker diff and docker commit of a container that made 1,000 small files',
  metrics: { diff: 'ms', commit: 'ms' },
  samples: 7,
  warmUps: 1,
  async open(contender, bench) {
    const { docker } = contender;
    await using stack = new AsyncDisposableStack();
    await withBase(stack, contender, bench);
    const [name, image] = [`${prefix}-changed`, `${prefix}-committed`];
    stack.defer(async () => void (await docker.run(['rm', '-f', name])));
    await docker.ok('run', '--name', name, baseImage, 'sh', '-c', script);
    stack.defer(async () => void (await docker.run(['rmi', '-f', image])));
    return samplerOf(stack, async () => {
      const diff = await timed(() => docker.ok('diff', name));
      const commit = await timed(() => docker.ok('commit', name, image));
      await docker.ok('rmi', image);
      return { diff, commit };
    });
  },
};
