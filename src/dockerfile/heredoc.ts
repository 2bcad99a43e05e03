import { expandWords } from './expand.ts';
import { SyntaxFault } from './location.ts';

export interface Heredoc {
  readonly name: string;
  readonly fileDescriptor: number;
  /** Variables in the body are expanded: the word had no quotes. */
  readonly expand: boolean;
  /** `<<-`: leading tabs of the body go. */
  readonly chomp: boolean;
}

export interface HeredocBody extends Heredoc {
  /** As written, with its line feeds; tabs are still there. */
  readonly content: string;
}

const noVariables = { escape: '\\', lookup: () => undefined, skipUnset: true } as const;

/** `3<<-'EOF'` as a heredoc; undefined when the word is not one. */
export function parseHeredoc(word: string): Heredoc | undefined {
  const match = /^(\d*)<<(-?)[\t\n\f\r ]*([^<]*)$/.exec(word);
  const rest = match?.[3];
  if (!match || !rest) return undefined;
  const words = expandWords(rest, noVariables);
  if (words.length !== 1) return undefined;
  const raw = expandWords(rest, { ...noVariables, rawQuotes: true });
  return {
    name: words[0]!,
    fileDescriptor: Number(match[1] || '0'),
    expand: quotesIn(words[0]!) === quotesIn(raw[0] ?? ''),
    chomp: match[2] === '-',
  };
}

function quotesIn(word: string): number {
  return [...word].filter((character) => character === "'" || character === '"').length;
}

/** The heredocs a logical line announces, in order. A line whose quotes do not balance announces none. */
export function heredocsOf(line: string): Heredoc[] {
  let words: string[];
  try {
    words = expandWords(line, { ...noVariables, rawQuotes: true, rawEscapes: true });
  } catch (error) {
    if (error instanceof SyntaxFault) return [];
    throw error;
  }
  return words.map(parseHeredoc).filter((heredoc) => heredoc !== undefined);
}

/** What a file written into the Dockerfile holds: without leading tabs for `<<-`. */
export function inlineText(file: { readonly content: string; readonly chomp: boolean }): string {
  return file.chomp ? file.content.replace(/^\t+/gm, '') : file.content;
}
