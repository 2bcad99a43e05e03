import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { baseImage, prefix, samplerOf, type Task, timed, withBase } from '../task.ts';

const stages = ['a', 'b', 'c', 'd'];

/** A second of waiting and some work of the processor in each. */
const dockerfile = [
  ...stages.flatMap((stage) => [
    `FROM ${baseImage} AS ${stage}`,
    `RUN sleep 1 && dd if=/dev/zero bs=1M count=150 | sha256sum > /${stage}`,
  ]),
  'FROM scratch',
  ...stages.map((stage) => `COPY --from=${stage} /${stage} /${stage}`),
].join('\n');

/** Stages that do not need each other. */
export const buildParallel: Task = {
  name: 'build-parallel',
  about: 'docker build of four independent stages, which wait a second and work one, joined by COPY --from',
  metrics: { 'build-parallel': 'ms' },
  samples: 3,
  warmUps: 0,
  async open(contender, bench) {
    const { docker } = contender;
    await using stack = new AsyncDisposableStack();
    await withBase(stack, contender, bench);
    const folder = await mkdtemp(join(tmpdir(), `${prefix}-stages-`));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, 'Dockerfile'), dockerfile);
    const image = `${prefix}-joined`;
    stack.defer(async () => void (await docker.run(['rmi', '-f', image])));
    return samplerOf(stack, async () => ({
      'build-parallel': await timed(() => docker.ok('build', '-q', '--no-cache', '-t', image, folder)),
    }));
  },
};
