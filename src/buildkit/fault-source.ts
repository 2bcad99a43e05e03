/** Lines of a file that an error is about, and the file. */
export interface FaultSource {
  readonly file: string;
  readonly bytes: Uint8Array;
  /** From 1, both included. */
  readonly startLine: number;
  readonly endLine: number;
}

const sources = new WeakMap<object, FaultSource>();

/** Remembers it beside the error, whose message stays. The first one counts. */
export function noteSource(error: unknown, source: FaultSource): void {
  if (typeof error === 'object' && error !== null && !sources.has(error)) sources.set(error, source);
}

export function sourceOf(error: unknown): FaultSource | undefined {
  return typeof error === 'object' && error !== null ? sources.get(error) : undefined;
}
