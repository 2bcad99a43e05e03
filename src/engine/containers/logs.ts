import type { ContainerLogs, LogOptions } from '#api-types';
import { EngineError } from '#errdefs';
import { decodeFrames } from '#http';
import type { LogQuery, OutputChunk } from '#runtime';
import type { ByteSource } from '#streams';
import type { EngineContext } from '../context.ts';
import { parseTimeNs } from '../time.ts';
import type { Container } from './container.ts';
import { isReadable } from './log-config.ts';
import { logDetails } from './log-details.ts';
import { containerPaths } from './paths.ts';

/** `GET /containers/{id}/logs`: records as lines, with times in front when asked. @throws `invalid-argument` for bad times or no stream. */
export async function containerLogs(
  ctx: EngineContext,
  reference: string,
  options: LogOptions = {},
): Promise<ContainerLogs> {
  const container = ctx.containers.resolve(reference);
  if (!options.stdout && !options.stderr) {
    throw new EngineError('invalid-argument', 'Bad parameters: you must choose at least one stream');
  }
  if (!isReadable(container.body.hostConfig.LogConfig)) {
    throw new EngineError('not-implemented', 'configured logging driver does not support reading');
  }
  const tty = container.body.config.Tty ?? false;
  const query = logQuery(options);
  const front = options.details ? { front: Buffer.from(`${logDetails(container)} `) } : {};
  const wire = logFrames(ctx, container, { ...query, ...front, bare: tty });
  return { tty, wire, output: tty ? asOutput(wire) : outputOf(wire) };
}

function logQuery(options: LogOptions): LogQuery {
  const tail =
    options.tail === undefined || options.tail === '' || options.tail === 'all' ? undefined : Number(options.tail);
  return {
    follow: options.follow ?? false,
    stdout: options.stdout ?? false,
    stderr: options.stderr ?? false,
    timestamps: options.timestamps ?? false,
    joined: options.joined ?? false,
    ...(isGiven(options.since) ? { sinceNs: parseTimeNs(options.since) } : {}),
    ...(isGiven(options.until) ? { untilNs: parseTimeNs(options.until) } : {}),
    // Docker shows everything when it cannot read the number.
    ...(tail === undefined || !Number.isInteger(tail) || tail < 0 ? {} : { tail }),
    signal: options.signal,
  };
}

const isGiven = (time: string | undefined): time is string => time !== undefined && time !== '' && time !== '0';

/** The log as a multiplexed stream; following ends when the container does. */
export function logFrames(ctx: EngineContext, container: Container, query: LogQuery): ByteSource {
  const ended = container.process?.exited;
  return ctx.runtime.logs(containerPaths(ctx, container.id).log, {
    ...query,
    follow: (query.follow ?? false) && ended !== undefined,
    unfinished: ended === undefined,
    ...(ended ? { ended } : {}),
  });
}

/** The chunks in a multiplexed stream. */
export async function* outputOf(frames: ByteSource): AsyncGenerator<OutputChunk> {
  for await (const { stream, data } of decodeFrames(frames)) {
    if (stream === 'stdout' || stream === 'stderr') yield { stream, data };
  }
}

async function* asOutput(bytes: ByteSource): AsyncGenerator<OutputChunk> {
  for await (const data of bytes) yield { stream: 'stdout', data };
}
