/** What the tests of the daemon's life share: the program itself, a base image, containers. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { ContainerCreateConfig, Engine } from '#api-types';
import { connect } from '#client';
import { baseImageTar } from '../../scripts/base-image.ts';

const program = join(import.meta.dirname, '..', '..', 'bin', 'wherryd');

export interface Ended {
  readonly status: number | null;
  readonly output: string;
}

/** Runs `wherryd` to its end, which must come soon. */
export async function wherryd(...args: readonly string[]): Promise<Ended> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  const texts = await Promise.all([child.stdout, child.stderr].map((stream) => Array.fromAsync(stream)));
  const status = await closed;
  clearTimeout(timer);
  return { status, output: Buffer.concat(texts.flat() as Buffer[]).toString() };
}

/** An engine on the daemon, with the image `base`. */
export async function withBase(host: string): Promise<Engine> {
  const engine = connect(host);
  async function* tar() {
    yield baseImageTar();
  }
  for await (const _ of engine.images.import(tar(), { repo: 'base', changes: ['ENV PATH=/bin'] }));
  return engine;
}

export async function run(engine: Engine, name: string, config: ContainerCreateConfig): Promise<string> {
  const { Id } = await engine.containers.create({ Image: 'base', ...config }, { name });
  await engine.containers.start(Id);
  return Id;
}

/** Ends at once when it is told to, with status 7. */
export const patient = ['sh', '-c', 'trap "exit 7" TERM; echo up; sleep 1000 & wait'];

export async function logText(engine: Engine, id: string): Promise<string> {
  const { output } = await engine.containers.logs(id, { stdout: true, stderr: true });
  let text = '';
  for await (const { data } of output) text += Buffer.from(data).toString();
  return text;
}

/** Until `look` answers something true. */
export async function eventually<T>(look: () => T | Promise<T>, limitMs = 10_000): Promise<T> {
  const deadline = performance.now() + limitMs;
  while (true) {
    const found = await look();
    if (found || performance.now() > deadline) return found;
    await wait(20);
  }
}
