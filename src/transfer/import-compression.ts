import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import type { DecompressOptions, Decompressor } from '#archive';
import { EngineError, isErrno } from '#errdefs';
import type { ByteSource } from '#streams';

/** What a broken stream makes the tool say is a line or two. */
const maxStderrBytes = 4096;

/** xz and bzip2 by the machine's own tools, as Docker does. */
export const externalDecompressors: NonNullable<DecompressOptions['external']> = {
  xz: throughTool('xz', ['-dc', '-q']),
  bzip2: throughTool('bzip2', ['-dc', '-q']),
};

/** Feeds the stream through a process and yields what it writes; leaving early ends the process. */
function throughTool(command: string, args: readonly string[]): Decompressor {
  return async function* (source: ByteSource) {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const closed = once(child, 'close').catch((error: unknown) => error);
    const stderr = readStart(child.stderr);
    const feeding = feed(source, child);
    try {
      yield* child.stdout as AsyncIterable<Buffer>;
      const outcome = await closed;
      // The source's own failure says more than a tool that was ended for it.
      const fault = await feeding;
      if (fault !== undefined) throw fault;
      requireSuccess(command, outcome, child.exitCode, await stderr);
    } finally {
      child.kill('SIGKILL');
      await Promise.all([closed, feeding]);
    }
  };
}

/** Answers why the source failed, if it did. A tool that stops reading early is no failure here: its exit status tells why. */
async function feed(source: ByteSource, child: ChildProcessWithoutNullStreams): Promise<unknown> {
  let fault: unknown;
  const watched = async function* () {
    try {
      yield* source;
    } catch (error) {
      fault = error;
      child.kill('SIGKILL');
      throw error;
    }
  };
  await pipeline(watched, child.stdin).catch(() => {});
  return fault;
}

async function readStart(stream: ByteSource): Promise<string> {
  let text = '';
  for await (const chunk of stream) {
    if (text.length < maxStderrBytes) text += Buffer.from(chunk).toString('utf8');
  }
  return text.slice(0, maxStderrBytes).trim();
}

function requireSuccess(command: string, outcome: unknown, code: number | null, stderr: string): void {
  if (isErrno(outcome, 'ENOENT'))
    throw new EngineError('not-implemented', `decompress: ${command} is not installed`, { cause: outcome });
  if (outcome instanceof Error) throw outcome;
  if (code !== 0)
    throw new EngineError('invalid-argument', `decompress: ${command}: ${stderr || `exit status ${code}`}`);
}
