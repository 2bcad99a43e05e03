import type { Terminal } from './command.ts';
import { prompt } from './prompt.ts';

/** True for `y` and `yes`. An end of the input is a no. */
export async function confirm(
  terminal: Terminal,
  question: string,
  options: { signal: AbortSignal },
): Promise<boolean> {
  const answer = terminal.stdin.isTTY ? await prompt(terminal, question, options) : await lineOf(terminal, question);
  return /^y(es)?$/i.test(answer.trim());
}

async function lineOf({ stdin, stdout }: Terminal, question: string): Promise<string> {
  stdout.write(question);
  let text = '';
  for await (const chunk of stdin) {
    text += String(chunk);
    if (text.includes('\n') || text.length > 1024) break;
  }
  return text.split('\n', 1)[0]!;
}
