import { envLookup, expandWord, type Instruction, inlineText, parseHeredoc, SyntaxFault } from '#dockerfile';
import type { StageScope } from './convert.ts';

/**
 * What a client of BuildKit is shown of a line that does something: as written, the variables put in as its frontend does, a script by its first line.
 * Undefined for a line that only changes the configuration. Before the scope moves on.
 */
export function shownText(instruction: Instruction, scope: StageScope): string | undefined {
  const { kind, source } = instruction;
  if (kind !== 'run' && kind !== 'copy' && kind !== 'add' && kind !== 'workdir') return undefined;
  const isRun = kind === 'run';
  const text = withVariables(source + (isRun ? scriptSummary(instruction.command) : ''), scope, isRun);
  const [keyword] = text.split(' ', 1);
  return keyword!.toUpperCase() + text.slice(keyword!.length);
}

function withVariables(text: string, { config, args, escape: escapeToken }: StageScope, isRun: boolean): string {
  const imageEnv = envLookup(config.Env ?? []);
  const lookup = (name: string) => imageEnv(name) ?? args.lookup(name);
  try {
    // The shell of a RUN reads its line again: what it would see stays.
    return expandWord(text, { escape: escapeToken, lookup, rawQuotes: isRun, skipUnset: isRun });
  } catch (error) {
    if (error instanceof SyntaxFault) return text;
    throw error;
  }
}

function scriptSummary({ args, inline }: Extract<Instruction, { kind: 'run' }>['command']): string {
  const [file] = inline;
  if (inline.length !== 1 || !file || !parseHeredoc(args[0] ?? '')) return '';
  const lines = inlineText(file).trim().split(/\r?\n/);
  return ` (${lines[0]}${lines.length > 1 ? '...' : ''})`;
}
