import { execFile } from 'node:child_process';
import { rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { patiently, prefix, samplerOf, type Task, timed } from '../task.ts';

const run = promisify(execFile);

/** A large image in and out of the store. */
export const images: Task = {
  name: 'images',
  about: 'the synthetic image: docker load, what the data root grew by against its uncompressed layers, save, rmi',
  metrics: { load: 'ms', disk: '×', save: 'ms', rmi: 'ms' },
  samples: 2,
  warmUps: 0,
  async open({ docker, dataRoot, name }, bench) {
    await using stack = new AsyncDisposableStack();
    const image = await bench.image();
    const saved = join(tmpdir(), `${prefix}-${process.pid}-${name}.tar`);
    stack.defer(() => rm(saved, { force: true }));
    stack.defer(async () => void (await docker.run(['rmi', '-f', image.name])));
    return samplerOf(stack, async () => {
      const before = await usedBytes(dataRoot);
      const load = await timed(() => patiently({ docker }, 'load', '-q', '-i', image.path));
      const after = await usedBytes(dataRoot);
      const save = await timed(() => patiently({ docker }, 'save', '-o', saved, image.name));
      await checkSaved(saved, image.layerBytes);
      const remove = await timed(() => patiently({ docker }, 'rmi', image.name));
      const grown = before === undefined || after === undefined ? {} : { disk: (after - before) / image.layerBytes };
      return { load, ...grown, save, rmi: remove };
    });
  },
};

/** Blocks in use, whatever the files' sizes say. */
async function usedBytes(folder: string | undefined): Promise<number | undefined> {
  if (folder === undefined) return undefined;
  const { stdout } = await run('du', ['-sB1', '-x', folder]).catch((error: { stdout: string }) => error);
  return Number(stdout.split('\t')[0]);
}

async function checkSaved(path: string, leastBytes: number): Promise<void> {
  const { size } = await stat(path);
  if (size < leastBytes) throw new Error(`save wrote ${size} bytes, the layers alone have ${leastBytes}`);
}
