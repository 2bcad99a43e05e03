import type { InlineFile } from './ast.ts';
import type { HeredocBody } from './heredoc.ts';
import type { Line } from './lines.ts';

/** A line being turned into an instruction. */
export interface Parsing {
  readonly line: Line;
  /** The escape character in force. */
  readonly escape: string;
  readonly placed: { readonly keyword: string; readonly source: string; readonly range: Line['range'] };
}

/** Heredoc bodies as files. */
export function inlineFiles(bodies: readonly HeredocBody[]): InlineFile[] {
  return bodies.map(({ name, content, chomp, expand }) => ({ name, content, chomp, expand }));
}
