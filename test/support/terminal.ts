/** A command on a terminal of its own (util-linux' `script`), typed into and read from as a person would. */
import { spawn } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';

export interface TerminalSession extends AsyncDisposable {
  type(text: string): void;
  /** Waits for a text in what was written since the last text that was waited for. @throws after twenty seconds. */
  shows(text: string): Promise<void>;
  /** The command's exit status. @throws when it does not end within twenty seconds. */
  ends(): Promise<number>;
}

const patienceMs = 20_000;

export function openTerminal(command: readonly string[], env: Readonly<Record<string, string>>): TerminalSession {
  const line = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  const child = spawn('script', ['-qefc', line, '/dev/null'], { env: { ...process.env, TERM: 'xterm', ...env } });
  let written = '';
  let seen = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    written += text;
  });
  child.stderr.resume();
  child.stdin.on('error', () => {});
  const ended = new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? -1)));
  return {
    type: (text) => child.stdin.write(text),
    async shows(text) {
      for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += 20) {
        const at = written.indexOf(text, seen);
        if (at >= 0) {
          seen = at + text.length;
          return;
        }
        await wait(20);
      }
      throw new Error(`${line}: no ${JSON.stringify(text)} in ${JSON.stringify(written.slice(seen))}`);
    },
    async ends() {
      const status = await Promise.race([ended, wait(patienceMs, undefined, { ref: false })]);
      if (status === undefined) throw new Error(`${line} does not end: ${JSON.stringify(written)}`);
      return status;
    },
    async [Symbol.asyncDispose]() {
      // The terminal goes with it, and what runs on the terminal is hung up on; `script` does not listen to SIGHUP itself.
      child.kill('SIGKILL');
      await ended;
    },
  };
}
