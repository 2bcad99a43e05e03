/** Builds with the docker CLI on a daemon of the test's own. */
import { spawn } from 'node:child_process';
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
  { flags = [], ...options }: { flags?: readonly string[]; within?: readonly string[] } = {},
): Promise<void> {
  await using setup = await containerSetup(t, flags, options);
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

export const program = join(import.meta.dirname, '..', '..', 'bin/wherry');

/** The `wherry` command on the same daemon. */
export async function wherry({ daemon }: Pick<Builds, 'daemon'>, args: readonly string[], input: Buffer | string = '') {
  const child = spawn(program, ['-H', daemon.host, ...args]);
  child.stdin.end(input);
  const text = async (stream: AsyncIterable<Buffer>) => Buffer.concat(await Array.fromAsync(stream)).toString();
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const status = child.exitCode ?? (await new Promise<number>((resolve) => child.once('close', resolve)));
  return { status, stdout, stderr };
}
