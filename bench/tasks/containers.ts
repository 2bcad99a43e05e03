import { engineMemory, engineProcesses } from '../memory.ts';
import { baseImage, prefix, samplerOf, type Task, timed, withBase } from '../task.ts';

const count = 30;

/** Idle containers: what starting, keeping and removing them takes. */
export const containers: Task = {
  name: 'containers',
  about: `${count} idle containers: start one after another, engine memory (PSS without the containers' own) for each, rm -f of all`,
  metrics: {
    'idle-rss': 'MiB',
    'idle-pss': 'MiB',
    'start-30': 'ms',
    'memory-per-container': 'KiB',
    'rm-30': 'ms',
  },
  samples: 3,
  warmUps: 0,
  async open(contender, bench) {
    const { docker, pid } = contender;
    await using stack = new AsyncDisposableStack();
    await withBase(stack, contender, bench);
    const names = Array.from({ length: count }, (_, index) => `${prefix}-idle-${index}`);
    stack.defer(async () => void (await docker.run(['rm', '-f', ...names])));
    const memory = async () => {
      if (pid === undefined) return undefined;
      const inits = await initPids();
      return engineMemory(engineProcesses(pid, inits));
    };
    const initPids = async () => {
      const ids = (await docker.ok('ps', '-q', '--filter', `name=${prefix}-idle`)).split('\n').filter(Boolean);
      if (ids.length === 0) return [];
      return (await docker.ok('inspect', '-f', '{{.State.Pid}}', ...ids)).split('\n').filter(Boolean).map(Number);
    };
    return samplerOf(stack, async () => {
      const before = await memory();
      const start = await timed(async () => {
        for (const name of names) await docker.ok('run', '-d', '--name', name, baseImage, 'sleep', '100000');
      });
      const after = await memory();
      const remove = await timed(() => docker.ok('rm', '-f', ...names));
      return {
        'start-30': start,
        'rm-30': remove,
        ...(before &&
          after && {
            'idle-rss': before.rssBytes / 2 ** 20,
            'idle-pss': before.pssBytes / 2 ** 20,
            'memory-per-container': (after.pssBytes - before.pssBytes) / count / 1024,
          }),
      };
    });
  },
};
