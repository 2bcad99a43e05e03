import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../random.ts';
import { baseImage, patiently, prefix, samplerOf, type Task, timed, withBase } from '../task.ts';

const [folders, filesEach, fileBytes] = [200, 100, 10_000];

/** Many small files into a container and out of it. */
export const copying: Task = {
  name: 'copying',
  about: `docker cp of a tree of ${folders * filesEach} files of ${fileBytes} bytes: in, and out again`,
  metrics: { 'cp-in': 'ms', 'cp-out': 'ms' },
  samples: 3,
  warmUps: 0,
  async open(contender, bench) {
    const { docker } = contender;
    await using stack = new AsyncDisposableStack();
    await withBase(stack, contender, bench);
    const place = await mkdtemp(join(tmpdir(), `${prefix}-`));
    stack.defer(() => rm(place, { recursive: true, force: true }));
    const tree = join(place, 'tree');
    await makeTree(tree);
    const name = `${prefix}-copied`;
    stack.defer(async () => void (await docker.run(['rm', '-f', name])));
    return samplerOf(stack, async () => {
      await docker.run(['rm', '-f', name]);
      await docker.ok('run', '-d', '--name', name, baseImage, 'sleep', '100000');
      const into = await timed(() => patiently({ docker }, 'cp', tree, `${name}:/in`));
      const target = join(place, 'out');
      const out = await timed(() => patiently({ docker }, 'cp', `${name}:/in`, target));
      await rm(target, { recursive: true });
      return { 'cp-in': into, 'cp-out': out };
    });
  },
};

async function makeTree(tree: string): Promise<void> {
  const random = new Random(20);
  for (let folder = 0; folder < folders; folder++) {
    const home = join(tree, `folder-${folder}`);
    await mkdir(home, { recursive: true });
    for (let file = 0; file < filesEach; file++) {
      const bytes = Buffer.from(Uint8Array.from({ length: fileBytes }, () => random.below(256)).buffer);
      await writeFile(join(home, `file-${file}`), bytes);
    }
  }
}
