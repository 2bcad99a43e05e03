import type { BuildDebugOptions } from '#api-types';
import { EngineError } from '#errdefs';
import type { EngineContext } from '../context.ts';
import type { Container } from './container.ts';
import type { ContainerBody } from './record.ts';
import { saveContainer } from './store.ts';

/**
 * Makes the next start of the container that a build's step left run another command in its place, by default a shell, with the step's files, mounts,
 * environment, user, working directory and network. What the command writes to the files stays in the container; after it the container is again what
 * the step left. Answers its ID.
 * @throws `not-found`; `invalid-argument` for another container; `conflict` when it runs
 */
export async function debugStep(
  ctx: EngineContext,
  reference: string,
  options: BuildDebugOptions = {},
): Promise<string> {
  const container = ctx.containers.resolve(reference);
  using _held = await container.lock.acquire();
  if (!container.body.step) {
    throw new EngineError('invalid-argument', `container ${reference} was not left by a step of a build`);
  }
  if (container.isRunning) throw new EngineError('conflict', `container ${reference} is running already`);
  endDebugging(container);
  container.body = debugged(container.body, options);
  await saveContainer(ctx, container);
  return container.id;
}

/** The command has ended, or never began. The caller saves the record. */
export function endDebugging(container: Container): void {
  const { undebugged, ...body } = container.body;
  if (undebugged) container.body = { ...body, ...undebugged };
}

function debugged(body: ContainerBody, { command = [], tty = false, stdin = false }: BuildDebugOptions): ContainerBody {
  const { path, args, config } = body;
  const [program = config.Shell?.[0] ?? '/bin/sh', ...rest] = command;
  const streams = {
    Tty: tty,
    OpenStdin: stdin,
    StdinOnce: stdin,
    AttachStdin: stdin,
    AttachStdout: true,
    AttachStderr: true,
  };
  return {
    ...body,
    path: program,
    args: rest,
    config: { ...config, ...streams, Cmd: [program, ...rest] },
    undebugged: { path, args, config },
  };
}
