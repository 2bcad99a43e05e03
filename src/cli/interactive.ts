import type { AttachedStreams } from '#api-types';
import { isKind } from '#errdefs';
import type { CommandContext } from './command.ts';

export interface InteractiveOptions {
  readonly stdin: boolean;
  readonly tty: boolean;
  readonly resize: (size: { height: number; width: number }) => Promise<void>;
}

/** Joins the terminal to a process: input up, output down, size changes along; returns when the process's output ends. */
export async function runInteractive(
  context: CommandContext,
  streams: AttachedStreams,
  options: InteractiveOptions,
): Promise<void> {
  const { stdin, stdout, stderr } = context.terminal;
  await using _attached = streams;
  const raw = options.tty && options.stdin && stdin.isTTY;
  if (raw) stdin.setRawMode(true);
  const onResize = () => void sendSize(context, options);
  if (options.tty && stdout.isTTY) {
    stdout.on('resize', onResize);
    onResize();
  }
  const feeding = options.stdin ? feed(stdin, streams) : Promise.resolve();
  feeding.catch(() => {});
  try {
    for await (const chunk of streams.output) {
      const out = chunk.stream === 'stderr' ? stderr : stdout;
      if (!out.write(chunk.data)) await new Promise((resolve) => out.once('drain', resolve));
    }
  } finally {
    stdout.off('resize', onResize);
    if (raw) stdin.setRawMode(false);
    if (options.stdin) {
      stdin.pause();
      stdin.unref?.();
    }
  }
}

async function feed(stdin: NodeJS.ReadStream, streams: AttachedStreams): Promise<void> {
  for await (const chunk of stdin) await streams.write(chunk as Uint8Array);
  await streams.closeInput();
}

/** The process may not have a terminal yet, or any more: a size that comes too early or too late is no failure. */
async function sendSize(context: CommandContext, options: InteractiveOptions): Promise<void> {
  const { rows, columns } = context.terminal.stdout;
  try {
    await options.resize({ height: rows, width: columns });
  } catch (error) {
    if (!isKind(error, 'conflict') && !isKind(error, 'not-found')) throw error;
  }
}
