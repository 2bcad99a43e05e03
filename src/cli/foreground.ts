import type { Engine } from '#api-types';
import { isKind } from '#errdefs';
import type { CommandContext } from './command.ts';
import { runInteractive } from './interactive.ts';

export interface ForegroundOptions {
  readonly stdin: boolean;
  readonly tty: boolean;
  /** It removes itself at its end. */
  readonly remove: boolean;
  readonly detachKeys?: string;
}

/** Attach and wait before start, so that no output and no exit is missed. */
export async function runForeground(
  context: CommandContext,
  id: string,
  { stdin, tty, remove, ...keys }: ForegroundOptions,
): Promise<number> {
  const engine = context.engine();
  const streams = await engine.containers.attach(id, {
    stream: true,
    stdin,
    stdout: true,
    stderr: true,
    ...keys,
  });
  const condition = remove ? 'removed' : 'next-exit';
  const { result } = await engine.containers.wait(id, { condition });
  try {
    await engine.containers.start(id);
  } catch (error) {
    await streams[Symbol.asyncDispose]();
    if (remove) await removeUnlessGone(engine, id);
    throw error;
  }
  const forward = (signal: NodeJS.Signals) => void engine.containers.kill(id, { signal }).catch(() => {});
  const signals: NodeJS.Signals[] = tty ? ['SIGTERM', 'SIGHUP'] : ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];
  for (const signal of signals) process.on(signal, forward);
  try {
    const end = await runInteractive(context, streams, {
      stdin,
      tty,
      resize: (size) => engine.containers.resize(id, size),
    });
    return end === 'detached' ? 0 : (await result).StatusCode;
  } finally {
    for (const signal of signals) process.off(signal, forward);
  }
}

/** The daemon removes a container with `--rm` that could not start; it may be the faster one. */
async function removeUnlessGone(engine: Engine, id: string): Promise<void> {
  try {
    await engine.containers.remove(id, { force: true, volumes: true });
  } catch (error) {
    if (!isKind(error, 'not-found') && !isKind(error, 'conflict')) throw error;
  }
}
