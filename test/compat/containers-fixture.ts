/** What the container tests share: a daemon with a base image, and the docker CLI. */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { requireRoot, temporaryFolder } from '#testing';
import { baseImageTar } from '../../scripts/base-image.ts';
import { type DaemonOptions, TestDaemon } from '../support/daemon.ts';
import { DockerCli, findDockerCli, type Ran } from '../support/docker-cli.ts';

export interface ContainerSetup extends AsyncDisposable {
  readonly daemon: TestDaemon;
  readonly docker: DockerCli;
  readonly folder: string;
  /** `docker run --rm <flags> base <command>`. */
  run(flags: readonly string[], command: readonly string[], input?: string): Promise<Ran>;
  /** The output of a shell script in a container that must succeed, trimmed. */
  sh(flags: readonly string[], script: string): Promise<string>;
}

/** Undefined, said aloud, where a daemon or the docker CLI cannot be had. Running containers are removed at the end. */
export async function containerSetup(
  t: TestContext,
  flags: readonly string[] = [],
  options: Pick<DaemonOptions, 'within'> = {},
): Promise<ContainerSetup | undefined> {
  if (!requireRoot(t)) return undefined;
  const cli = findDockerCli();
  if ('missing' in cli) {
    t.skip(cli.missing);
    return undefined;
  }
  await using owned = new AsyncDisposableStack();
  const folder = owned.use(await temporaryFolder()).path;
  const daemon = owned.use(await TestDaemon.start({ flags, ...options }));
  const docker = new DockerCli(cli.path, daemon.host, join(folder, 'config'));
  owned.defer(() => removeAll(docker));
  const imported = await docker.run(['import', '-', 'base'], { input: baseImageTar() });
  if (imported.status !== 0) throw new Error(imported.stderr);
  const run: ContainerSetup['run'] = (flags, command, input = '') =>
    docker.run(['run', '--rm', ...flags, 'base', ...command], { input });
  const sh: ContainerSetup['sh'] = async (flags, script) => {
    const ran = await run(flags, ['sh', '-c', script]);
    if (ran.status !== 0) throw new Error(`${flags.join(' ')}: ${script}: status ${ran.status}\n${ran.stderr}`);
    return ran.stdout.trim();
  };
  const held = owned.move();
  return { daemon, docker, folder, run, sh, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

async function removeAll(docker: DockerCli): Promise<void> {
  const ids = (await docker.ok('ps', '-aq')).split('\n').filter(Boolean);
  if (ids.length > 0) await docker.ok('rm', '-fv', ...ids);
}

/** Asks until the answer satisfies. @throws when it does not within ten seconds. */
export async function until<T>(ask: () => Promise<T>, satisfies: (answer: T) => boolean): Promise<T> {
  for (let tries = 0; tries < 200; tries++) {
    const answer = await ask();
    if (satisfies(answer)) return answer;
    await wait(50);
  }
  throw new Error('what was waited for did not come');
}

/** The daemon's words in what a failed `docker run` says. Before 28 the CLI closed them with a full stop of its own. */
export function daemonWords(docker: DockerCli, { stderr }: Ran): string {
  const said = stderr.split('\n', 1)[0]!.replace('docker: Error response from daemon: ', '');
  if (!docker.olderThan(28)) return said;
  if (!said.endsWith('.')) throw new Error(`no full stop: ${stderr}`);
  return said.slice(0, -1);
}

/** What is said of a container or image that is not there: before 25 the CLI put its own words in place of the daemon's. */
export function notFoundWords(docker: DockerCli, daemons: string, clis: string): string {
  return docker.olderThan(25) ? `Error: ${clis}` : `Error response from daemon: ${daemons}`;
}

export const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');
