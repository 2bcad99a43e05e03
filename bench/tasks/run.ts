import { baseImage, prefix, samplerOf, type Task, timed, withBase } from '../task.ts';

function runTask(name: string, about: string, flags: readonly string[]): Task {
  return {
    name,
    about,
    metrics: { [name]: 'ms' },
    samples: 15,
    warmUps: 2,
    async open(contender, bench) {
      await using stack = new AsyncDisposableStack();
      await withBase(stack, contender, bench);
      return samplerOf(stack, async () => ({
        [name]: await timed(() => contender.docker.ok('run', '--rm', ...flags, baseImage, 'true')),
      }));
    },
  };
}

export const runTrue = runTask('run-true', 'docker run --rm base true, on the default bridge', []);
export const runNoNet = runTask('run-nonet', 'the same with --network none', ['--network', 'none']);

export const execTrue: Task = {
  name: 'exec-true',
  about: 'docker exec of true in a running container',
  metrics: { 'exec-true': 'ms' },
  samples: 15,
  warmUps: 2,
  async open(contender, bench) {
    await using stack = new AsyncDisposableStack();
    await withBase(stack, contender, bench);
    const name = `${prefix}-exec`;
    await contender.docker.ok('run', '-d', '--name', name, baseImage, 'sleep', '100000');
    stack.defer(async () => void (await contender.docker.ok('rm', '-f', name)));
    return samplerOf(stack, async () => ({
      'exec-true': await timed(() => contender.docker.ok('exec', name, 'true')),
    }));
  },
};
