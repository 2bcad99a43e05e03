import { isErrno } from '#errdefs';
import type { Terminal } from './command.ts';

/** Standard output for much text: waits for the reader, and learns when the reader has gone. */
export class Output {
  readonly #stdout: Terminal['stdout'];
  readonly #failed: Promise<unknown>;

  constructor({ stdout }: Terminal) {
    this.#stdout = stdout;
    this.#failed = new Promise((resolve) => stdout.once('error', resolve));
  }

  /** Answers false once nobody reads on, as when piped into `head`. @throws Node's error when the output cannot be written. */
  async write(data: string | Uint8Array): Promise<boolean> {
    if (data.length === 0) return true;
    const taken = new Promise<undefined>((resolve) => {
      this.#stdout.write(data, (error) => {
        if (!error) resolve(undefined);
      });
    });
    const error = await Promise.race([taken, this.#failed]);
    if (error === undefined) return true;
    if (isErrno(error, 'EPIPE')) return false;
    throw error;
  }
}
