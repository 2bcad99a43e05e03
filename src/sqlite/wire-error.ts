import { EngineError, type ErrorKind, isErrno, kindOf, messageOf } from '#errdefs';

/** How an error crosses from the database thread: an EngineError's kind and message, or a bug's stack. */
export interface WireError {
  readonly kind: ErrorKind;
  readonly message: string;
  /** The disk is full. */
  readonly noSpace?: boolean;
}

/** SQLite's result codes, https://www.sqlite.org/rescode.html, by their low byte. */
const kinds: Readonly<Record<number, ErrorKind>> = {
  5: 'unavailable', // busy
  8: 'permission-denied', // read-only
  11: 'data-loss', // corrupt
  13: 'unavailable', // disk full
  14: 'permission-denied', // can't open
  26: 'data-loss', // not a database
};
const uniqueCodes: ReadonlySet<number> = new Set([1555, 2067, 2579]);
const constraintCode = 19;
const fullCode = 13;

/** True when there was no space on the disk. */
export function isFull(error: unknown): boolean {
  const code = (error as { errcode?: unknown } | undefined)?.errcode;
  return (
    (typeof code === 'number' && (code & 0xff) === fullCode) || isErrno(error, 'ENOSPC') || isErrno(error, 'EDQUOT')
  );
}

export function toWireError(error: unknown): WireError {
  const code = (error as { errcode?: unknown } | undefined)?.errcode;
  if (typeof code === 'number') {
    const noSpace = isFull(error);
    return { kind: kindOfCode(code), message: `write database: ${messageOf(error)}`, noSpace };
  }
  if (isFull(error)) return { kind: 'unavailable', message: `write database: ${messageOf(error)}`, noSpace: true };
  return { kind: error instanceof EngineError ? error.kind : kindOf(error), message: messageOf(error) };
}

function kindOfCode(code: number): ErrorKind {
  if (uniqueCodes.has(code)) return 'already-exists';
  if ((code & 0xff) === constraintCode) return 'conflict';
  return kinds[code & 0xff] ?? 'internal';
}

export function fromWireError(error: WireError): EngineError {
  const cause = error.noSpace ? { cause: Object.assign(new Error('no space left'), { code: 'ENOSPC' }) } : {};
  return new EngineError(error.kind, error.message, cause);
}
