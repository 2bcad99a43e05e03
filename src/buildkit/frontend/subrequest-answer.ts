/** What a subrequest answers: a document for programs, and the same for people. */
export interface SubrequestAnswer {
  readonly json: unknown;
  readonly text: string;
  readonly status?: number;
}

/** Columns, three blanks apart. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], gap = 3): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)) + gap);
  return all
    .map((row) => `${row.map((cell, at) => (at < row.length - 1 ? cell.padEnd(widths[at]!) : cell)).join('')}\n`)
    .join('');
}

export function locationOf({ startLine, endLine }: { startLine: number; endLine: number }) {
  return { ranges: [{ start: { line: startLine }, end: { line: endLine } }] };
}
