import type { ErrorKind } from '#errdefs';

/** The one table from error kinds to the Engine API's status codes. */
export const httpStatus: Readonly<Record<ErrorKind, number>> = {
  'invalid-argument': 400,
  'failed-precondition': 400,
  'out-of-range': 400,
  unauthenticated: 401,
  'permission-denied': 403,
  'not-found': 404,
  conflict: 409,
  'already-exists': 409,
  'not-modified': 304,
  'not-implemented': 501,
  unavailable: 503,
  internal: 500,
  'data-loss': 500,
  canceled: 500,
  'deadline-exceeded': 500,
  unknown: 500,
};
