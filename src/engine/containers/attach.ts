import type { AttachedStreams, AttachOptions } from '#api-types';
import { EngineError } from '#errdefs';
import type { Attachment, OutputChunk } from '#runtime';
import type { EngineContext } from '../context.ts';
import type { Container } from './container.ts';
import { emitContainer } from './events.ts';
import { logFrames, outputOf } from './logs.ts';

/**
 * `POST /containers/{id}/attach`. On a container that does not run yet the attachment takes hold between create and start, so that nothing of
 * its output is missed. Disposing detaches; the process goes on, but with `StdinOnce` its standard input ends.
 */
export async function attachContainer(
  ctx: EngineContext,
  reference: string,
  options: AttachOptions = {},
): Promise<AttachedStreams> {
  const container = ctx.containers.resolve(reference);
  if (container.body.state.status === 'paused') {
    throw new EngineError('conflict', `container ${reference} is paused, unpause the container before attach`);
  }
  if (container.body.state.status === 'restarting') {
    throw new EngineError('conflict', `container ${reference} is restarting, wait until the container is running`);
  }
  const tty = container.body.config.Tty ?? false;
  // Who asks for no stream has got all of it.
  const isAnyAsked = options.stdin || options.stdout || options.stderr;
  const live = options.stream && isAnyAsked ? container.attachment({ input: options.stdin ?? false }) : undefined;
  live?.catch(() => {});
  emitContainer(ctx, container, 'attach');
  return attachedStreams({
    tty,
    history: options.logs ? outputOf(logFrames(ctx, container, { stdout: true, stderr: true })) : undefined,
    live,
    options,
    onDetach: () => emitContainer(ctx, container, 'detach'),
  });
}

interface StreamParts {
  readonly tty: boolean;
  readonly history: AsyncIterable<OutputChunk> | undefined;
  readonly live: Promise<Attachment> | undefined;
  readonly options: AttachOptions;
  readonly onDetach?: () => void;
  /** The output ends no sooner than this. */
  readonly settled?: Promise<unknown>;
}

/** Both directions over an attachment that may still be on its way. */
export function attachedStreams(parts: StreamParts): AttachedStreams {
  const { live, options } = parts;
  let ended = false;
  let closed = false;
  async function* output(): AsyncGenerator<OutputChunk> {
    const wanted = (chunk: OutputChunk) => (chunk.stream === 'stdout' ? options.stdout : options.stderr) ?? false;
    if (parts.history) for await (const chunk of parts.history) if (wanted(chunk)) yield chunk;
    const attachment = await live?.catch((error: unknown) => {
      ended = true;
      throw error;
    });
    if (attachment) for await (const chunk of attachment.output) if (wanted(chunk) || parts.tty) yield chunk;
    await parts.settled;
    ended = true;
  }
  return {
    tty: parts.tty,
    output: output(),
    async write(data) {
      if (options.stdin) await (await live)?.write(data);
    },
    async closeInput() {
      if (options.stdin && !parts.tty) await (await live)?.closeInput();
    },
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      if (!ended) parts.onDetach?.();
      // An attachment still on its way is let go of when it arrives.
      live?.then((attachment) => attachment[Symbol.asyncDispose]()).catch(() => {});
    },
  };
}

/** `POST /containers/{id}/resize`. @throws `conflict` when it does not run. */
export async function resizeContainer(
  ctx: EngineContext,
  reference: string,
  size: { height: number; width: number },
): Promise<void> {
  const container = ctx.containers.resolve(reference);
  if (!container.process) throw notRunning(container);
  await container.process.resize(size.height, size.width);
  emitContainer(ctx, container, 'resize', { height: String(size.height), width: String(size.width) });
}

export function notRunning(container: Container): EngineError {
  return new EngineError('conflict', `container ${container.id} is not running`);
}
