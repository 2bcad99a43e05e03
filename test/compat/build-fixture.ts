/** Builds with the docker CLI on a daemon of the test's own. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { type ContainerSetup, containerSetup } from './containers-fixture.ts';

export interface Builds extends ContainerSetup {
  /** `docker build <flags> .` in a folder with these files. */
  build(files: Readonly<Record<string, string | Buffer>>, ...flags: string[]): ReturnType<ContainerSetup['run']>;
}

export async function withBuilds(
  t: TestContext,
  work: (builds: Builds) => Promise<void>,
  flags: readonly string[] = [],
): Promise<void> {
  await using setup = await containerSetup(t, flags);
  if (!setup) return;
  let folders = 0;
  const build: Builds['build'] = async (files, ...flags) => {
    const cwd = join(setup.folder, `context-${++folders}`);
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(cwd, path)), { recursive: true });
      await writeFile(join(cwd, path), content);
    }
    return await setup.docker.run(['build', ...flags, '.'], { cwd });
  };
  await work({ ...setup, build });
}
