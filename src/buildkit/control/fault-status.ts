import { Code, ConnectError } from '@connectrpc/connect';
import { failureText } from '#builder';
import { isKind } from '#errdefs';
import { log } from '#log';
import { sourceOf } from '../fault-source.ts';
import { SourceSchema } from '../proto/errdefs_pb.ts';

/** An error as the status of a call: without a code of its own, which clients would print in front of it. */
export function statusOf(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  const code = isKind(error, 'canceled') ? Code.Canceled : Code.Unknown;
  return new ConnectError(failureText(error), code, undefined, detailsOf(error));
}

/** The Dockerfile and the lines in question, which clients print. */
function detailsOf(error: unknown) {
  const source = sourceOf(error);
  if (!source) return [];
  const { file: filename, bytes: data, startLine, endLine } = source;
  const ranges = [{ start: { line: startLine }, end: { line: endLine } }];
  return [{ desc: SourceSchema, value: { info: { filename, data, language: 'Dockerfile' }, ranges } }];
}

/** Runs the work of one call. */
export async function answering<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    log.debug('a build call failed', { error });
    throw statusOf(error);
  }
}

/** The same for a call that answers again and again. */
export async function* answeringAll<T>(answers: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* answers;
  } catch (error) {
    throw statusOf(error);
  }
}
