import { EngineError } from '#errdefs';

/** Lines of the Dockerfile, from 1, both ends included. */
export interface SourceRange {
  readonly startLine: number;
  readonly endLine: number;
}

/** A fault in a Dockerfile and where it is. `fact` is the bare reason; `message` is what Docker's clients are shown. */
export class LocationError extends EngineError {
  readonly range: SourceRange;
  readonly fact: string;
  /** What may have been meant, as a sentence; not part of the message. */
  readonly hint: string | undefined;

  /** What it is about, where the message does not say. */
  readonly words: string | undefined;

  constructor(
    message: string,
    range: SourceRange,
    options: { fact?: string; hint?: string; words?: string; cause?: unknown } = {},
  ) {
    super('invalid-argument', message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'LocationError';
    this.range = range;
    this.fact = options.fact ?? message;
    this.hint = options.hint;
    this.words = options.words;
  }
}

/** A reason without a place yet; the parser that knows the line turns it into a {@link LocationError}. */
export class SyntaxFault extends EngineError {
  constructor(reason: string, options: { cause?: unknown } = {}) {
    super('invalid-argument', reason, options);
    this.name = 'SyntaxFault';
  }
}
