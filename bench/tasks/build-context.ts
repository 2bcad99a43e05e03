import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { patiently, prefix, samplerOf, type Task, timed } from '../task.ts';

const [folders, filesEach, fileBytes] = [200, 100, 10_240];

/** What a client sends, and what it sends again. */
export const buildContext: Task = {
  name: 'build-context',
  about: 'docker build that copies a context of 200 MB in 20,000 files: the first time, then with nothing changed',
  metrics: { 'build-context': 'ms', 'build-context-again': 'ms' },
  samples: 2,
  warmUps: 0,
  async open(contender) {
    const { docker } = contender;
    await using stack = new AsyncDisposableStack();
    const image = `${prefix}-copied`;
    stack.defer(async () => void (await docker.run(['rmi', '-f', image])));
    return samplerOf(stack, async () => {
      // A context that nobody has seen: a folder of its own, and bytes of its own.
      const folder = await writeContext();
      try {
        const build = () => patiently(contender, 'build', '-q', '-t', image, folder);
        const first = await timed(build);
        return { 'build-context': first, 'build-context-again': await timed(build) };
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  },
};

async function writeContext(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `${prefix}-large-`));
  await writeFile(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY . /\n');
  for (let one = 0; one < folders; one++) {
    const below = join(folder, `folder-${one}`);
    await mkdir(below);
    const bytes = randomBytes(fileBytes + filesEach);
    for (let file = 0; file < filesEach; file++) {
      await writeFile(join(below, `file-${file}`), bytes.subarray(file, file + fileBytes));
    }
  }
  return folder;
}
