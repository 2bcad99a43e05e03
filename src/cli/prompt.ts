import type { Terminal } from './command.ts';

/** Asks for a line; `hidden` shows nothing of what is typed. */
export async function prompt(
  terminal: Terminal,
  question: string,
  options: { hidden?: boolean; signal: AbortSignal },
): Promise<string> {
  const { stdin, stdout } = terminal;
  const [{ createInterface }, { Writable }] = await Promise.all([
    import('node:readline/promises'),
    import('node:stream'),
  ]);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  if (options.hidden) stdout.write(question);
  const lines = createInterface({ input: stdin, output: options.hidden ? silent : stdout, terminal: true });
  try {
    return await lines.question(options.hidden ? '' : question, { signal: options.signal });
  } finally {
    lines.close();
    if (options.hidden) stdout.write('\n');
  }
}
