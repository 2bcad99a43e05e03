import type { AttachedStreams } from '#api-types';
import { isKind } from '#errdefs';
import { parseDetachKeys, untilDetached } from '#http';
import type { CommandContext, Terminal } from './command.ts';
import type { FlagSpec, Flags } from './flags.ts';

/** The option of every command that joins a terminal to a process. */
export const detachKeysFlag: FlagSpec = {
  name: 'detach-keys',
  type: 'string',
  help: 'Override the key sequence for detaching a container',
};

/** For the daemon, which would detach at its own keys otherwise. */
export function detachKeysOf(flags: Flags): { detachKeys?: string } {
  const detachKeys = flags.text('detach-keys');
  return detachKeys === undefined ? {} : { detachKeys };
}

export interface InteractiveOptions {
  readonly stdin: boolean;
  readonly tty: boolean;
  readonly resize: (size: { height: number; width: number }) => Promise<void>;
}

/**
 * Joins the terminal to a process: input up, output down, size changes along; returns when the process's output ends, or when the user of a
 * terminal has typed the detach keys. Those are watched for here, before the daemon sees them, because only so it is known why the streams end.
 */
export async function runInteractive(
  context: CommandContext,
  streams: AttachedStreams,
  options: InteractiveOptions,
): Promise<'ended' | 'detached'> {
  const { stdin, stdout, stderr } = context.terminal;
  await using _attached = streams;
  const raw = options.tty && options.stdin && stdin.isTTY;
  if (raw) stdin.setRawMode(true);
  const onResize = () => void sendSize(context, options);
  if (options.tty && stdout.isTTY) {
    stdout.on('resize', onResize);
    onResize();
  }
  const detach = new AbortController();
  const feeding = options.stdin ? feed(context, streams, { tty: options.tty, detach }) : Promise.resolve();
  feeding.catch(() => {});
  try {
    for await (const chunk of streams.output) {
      const out = chunk.stream === 'stderr' ? stderr : stdout;
      if (!out.write(chunk.data)) await new Promise((resolve) => out.once('drain', resolve));
    }
  } catch (error) {
    if (!detach.signal.aborted) throw error;
  } finally {
    stdout.off('resize', onResize);
    if (raw) stdin.setRawMode(false);
    if (options.stdin) {
      stdin.pause();
      stdin.unref?.();
    }
  }
  return detach.signal.aborted ? 'detached' : 'ended';
}

/** What the docker CLI says and answers when the keys end anything but `run`. */
export function sayDetached(terminal: Terminal): number {
  terminal.stderr.write('read escape sequence\n');
  return 1;
}

async function feed(
  context: CommandContext,
  streams: AttachedStreams,
  { tty, detach }: { tty: boolean; detach: AbortController },
): Promise<void> {
  const { stdin } = context.terminal;
  const keys = parseDetachKeys(context.flags.text('detach-keys'));
  const input = tty ? untilDetached(stdin, keys, () => detach.abort()) : stdin;
  for await (const chunk of input) await streams.write(chunk as Uint8Array);
  if (detach.signal.aborted) await streams[Symbol.asyncDispose]();
  else await streams.closeInput();
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
