import { Code, ConnectError } from '@connectrpc/connect';
import { failureText } from '#builder';
import { type ErrorKind, isKind, kindOf } from '#errdefs';
import { log } from '#log';

/** Codes that clients tell apart; a build that failed is `unknown`, as with BuildKit. */
const codes: Partial<Readonly<Record<ErrorKind, Code>>> = {
  'not-found': Code.NotFound,
  'already-exists': Code.AlreadyExists,
  'permission-denied': Code.PermissionDenied,
  unauthenticated: Code.Unauthenticated,
  'not-implemented': Code.Unimplemented,
  unavailable: Code.Unavailable,
  canceled: Code.Canceled,
};

/** An error as the status of a call. */
export function statusOf(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  const isAbort = error instanceof Error && error.name === 'AbortError';
  const code = isAbort || isKind(error, 'canceled') ? Code.Canceled : (codes[kindOf(error)] ?? Code.Unknown);
  return new ConnectError(failureText(error), code);
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
