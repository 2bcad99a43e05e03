/** Where in a file a failure comes from, for clients that show more than a message. */
export interface FaultPlace {
  readonly file: string;
  /** From 1, both included. */
  readonly startLine: number;
  readonly endLine: number;
  /** The lines around, with a caret under the words it is about; ends with a line feed. */
  readonly excerpt: string;
  /** The name that may have been meant, as a sentence. */
  readonly hint?: string;
  /** The last lines that the command printed which failed. */
  readonly output?: string;
  /** The ID of that command's container, which stays. */
  readonly container?: string;
}

const places = new WeakMap<object, FaultPlace>();

/** Remembers the place beside the error, whose message and kind stay as they are. The first one counts. */
export function placeError(error: unknown, place: FaultPlace): void {
  if (typeof error === 'object' && error !== null && !places.has(error)) places.set(error, place);
}

export function placeOf(error: unknown): FaultPlace | undefined {
  return typeof error === 'object' && error !== null ? places.get(error) : undefined;
}

/** A place as it stands below a message: excerpt, then hint. */
export function placeText({ excerpt, hint }: FaultPlace): string {
  return hint === undefined ? excerpt : `${excerpt}${hint}\n`;
}
