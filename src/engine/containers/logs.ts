import type { LogOptions } from '#api-types';
import { EngineError } from '#errdefs';
import type { LogQuery, LogRecord, OutputChunk } from '#runtime';
import type { EngineContext } from '../context.ts';
import { formatNs, parseTimeNs } from '../time.ts';
import type { Container } from './container.ts';
import { logLimits } from './log-config.ts';
import { logDetails } from './log-details.ts';
import { containerPaths } from './paths.ts';

/** `GET /containers/{id}/logs`: records as lines, with times in front when asked. @throws `invalid-argument` for bad times or no stream. */
export async function containerLogs(
  ctx: EngineContext,
  reference: string,
  options: LogOptions = {},
): Promise<{ tty: boolean; output: AsyncIterable<OutputChunk> }> {
  const container = ctx.containers.resolve(reference);
  if (!options.stdout && !options.stderr) {
    throw new EngineError('invalid-argument', 'Bad parameters: you must choose at least one stream');
  }
  if (!logLimits(container.body.hostConfig.LogConfig, '')) {
    throw new EngineError('not-implemented', 'configured logging driver does not support reading');
  }
  const query = logQuery(options);
  return {
    tty: container.body.config.Tty ?? false,
    output: logOutput(ctx, container, query, options),
  };
}

function logQuery(options: LogOptions): LogQuery {
  const tail =
    options.tail === undefined || options.tail === '' || options.tail === 'all' ? undefined : Number(options.tail);
  return {
    follow: options.follow ?? false,
    stdout: options.stdout ?? false,
    stderr: options.stderr ?? false,
    ...(isGiven(options.since) ? { sinceNs: parseTimeNs(options.since) } : {}),
    ...(isGiven(options.until) ? { untilNs: parseTimeNs(options.until) } : {}),
    // Docker shows everything when it cannot read the number.
    ...(tail === undefined || !Number.isInteger(tail) || tail < 0 ? {} : { tail }),
    signal: options.signal,
  };
}

const isGiven = (time: string | undefined): time is string => time !== undefined && time !== '' && time !== '0';

/** The log as output; following ends when the container does. */
export async function* logOutput(
  ctx: EngineContext,
  container: Container,
  query: LogQuery,
  shown: LineOptions = {},
): AsyncGenerator<OutputChunk> {
  const ended = container.process?.exited;
  const follow = (query.follow ?? false) && ended !== undefined;
  const records = ctx.runtime.logs(containerPaths(ctx, container.id).log, {
    ...query,
    follow,
    ...(ended ? { ended } : {}),
  });
  const details = shown.details ? `${logDetails(container)} ` : '';
  for await (const record of records) yield toChunk(record, details, shown);
}

interface LineOptions {
  readonly timestamps?: boolean;
  readonly details?: boolean;
}

/** Without attributes Docker writes the space that follows them. */
function toChunk(record: LogRecord, details: string, { timestamps = false }: LineOptions): OutputChunk {
  const front = `${timestamps ? `${stamp(record.timeNs)} ` : ''}${details}`;
  const data = front === '' ? record.line : Buffer.concat([Buffer.from(front), record.line]);
  return { stream: record.stream, data };
}

/** With all nine digits, so that columns line up. */
function stamp(timeNs: bigint): string {
  const [whole = '', fraction = ''] = formatNs(timeNs).replace(/Z$/, '').split('.');
  return `${whole}.${fraction.padEnd(9, '0')}Z`;
}
