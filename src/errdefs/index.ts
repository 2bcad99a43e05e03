/**
 * Error kinds that travel through the whole engine. Knows nothing of HTTP, files or images; imports nothing.
 *
 * Domain code throws {@link EngineError} with a closed `kind`; surfaces translate kinds into status codes.
 * A plain `Error` means a bug.
 */

export { type FaultPlace, placeError, placeOf, placeText } from './fault-place.ts';

export const errorKinds = [
  'invalid-argument',
  'failed-precondition',
  'out-of-range',
  'unauthenticated',
  'permission-denied',
  'not-found',
  'conflict',
  'already-exists',
  'not-modified',
  'not-implemented',
  'unavailable',
  'internal',
  'data-loss',
  'canceled',
  'deadline-exceeded',
  'unknown',
] as const;

export type ErrorKind = (typeof errorKinds)[number];

/** An error with a meaning a caller can act on. `message` says operation, subject, then fact. */
export class EngineError extends Error {
  readonly kind: ErrorKind;

  constructor(kind: ErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'EngineError';
    this.kind = kind;
  }
}

/** A process ended badly. `code` is its exit status; `signal` the signal's name when one ended it. */
export class ExitError extends EngineError {
  readonly code: number;
  readonly signal: string | undefined;
  readonly stderr: string;
  /** What ran, as it is shown. */
  readonly command: string | undefined;

  constructor(message: string, facts: { code: number; signal?: string; stderr?: string; command?: string }) {
    super('unknown', message);
    this.name = 'ExitError';
    this.code = facts.code;
    this.signal = facts.signal;
    this.stderr = facts.stderr ?? '';
    this.command = facts.command;
  }
}

/** The kind of the outermost classified error in the cause chain; aborts count as `canceled`. */
export function kindOf(error: unknown): ErrorKind {
  for (let at = error, depth = 0; at instanceof Error && depth < 16; at = at.cause, depth++) {
    if (at instanceof EngineError) return at.kind;
    if (at.name === 'AbortError') return 'canceled';
    if (at.name === 'TimeoutError') return 'deadline-exceeded';
  }
  return 'unknown';
}

export function isKind(error: unknown, kind: ErrorKind): boolean {
  return kindOf(error) === kind;
}

/** True when `error` is a Node system error with the given code, `ENOENT` say. */
export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}

/** The text a user is shown: the message of an Error, or the value as a string. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
