import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { baseImage, prefix, samplerOf, type Task, timed, withBase } from '../task.ts';

const fileCount = 200;
const dockerfile = `FROM ${baseImage}
ENV PATH=/bin MODE=bench
WORKDIR /srv/app
COPY app/ .
RUN ls | wc -l > count
RUN echo done > state
CMD ["cat", "state"]
`;

/** A small Dockerfile. */
export const build: Task = {
  name: 'build',
  about: `docker build of six steps, ${fileCount} files and two RUN: without the cache, wholly from it, with one file changed`,
  metrics: { 'build-cold': 'ms', 'build-cached': 'ms', 'build-touch': 'ms' },
  samples: 5,
  warmUps: 1,
  async open(contender, bench) {
    const { docker } = contender;
    await using stack = new AsyncDisposableStack();
    await withBase(stack, contender, bench);
    const context = await writeContext(stack);
    const image = `${prefix}-built`;
    stack.defer(async () => void (await docker.run(['rmi', '-f', image])));
    return samplerOf(stack, async () => {
      // Each cold build makes an image anew; the one before goes with its layers.
      await docker.run(['rmi', '-f', image]);
      const cold = await timed(() => docker.ok('build', '-q', '--no-cache', '-t', image, context));
      const cached = await timed(() => docker.ok('build', '-q', '-t', image, context));
      await appendFile(join(context, 'app', 'file-0.txt'), '.');
      const touch = await timed(() => docker.ok('build', '-q', '-t', image, context));
      return { 'build-cold': cold, 'build-cached': cached, 'build-touch': touch };
    });
  },
};

async function writeContext(stack: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `${prefix}-context-`));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'app'));
  await writeFile(join(folder, 'Dockerfile'), dockerfile);
  for (let index = 0; index < fileCount; index++) {
    await writeFile(join(folder, 'app', `file-${index}.txt`), `${index} `.repeat(500));
  }
  return folder;
}
