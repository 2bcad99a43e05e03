import { spawn } from 'node:child_process';
import { EngineError, isErrno } from '#errdefs';
import { readAll } from '#streams';
import type { Environment } from './config-file.ts';

const maxAnswerBytes = 4 << 20;
const notFound = /credentials not found in native keychain/;

export interface HelperSecret {
  readonly username: string;
  readonly secret: string;
}

/** A program `docker-credential-<name>` that keeps secrets: requests on standard input, answers on standard output. */
export class CredentialHelper {
  readonly program: string;
  readonly #environment: Environment;

  /** @throws `invalid-argument` for a name that would be a path. */
  constructor(name: string, environment: Environment) {
    if (!/^[a-zA-Z0-9_.-]+$/.test(name))
      throw new EngineError('invalid-argument', `credential helper ${name}: not a helper's name`);
    this.program = `docker-credential-${name}`;
    this.#environment = environment;
  }

  /** `undefined` when it knows nothing of the server. @throws when it cannot be asked. */
  async get(server: string): Promise<HelperSecret | undefined> {
    const answer = await this.#run('get', server);
    if (answer.status !== 0) {
      if (notFound.test(answer.text)) return undefined;
      throw this.#failed(answer.text);
    }
    const { Username, Secret } = this.#parse(answer.text);
    return { username: Username ?? '', secret: Secret ?? '' };
  }

  async store(server: string, { username, secret }: HelperSecret): Promise<void> {
    const answer = await this.#run('store', JSON.stringify({ ServerURL: server, Username: username, Secret: secret }));
    if (answer.status !== 0) throw this.#failed(answer.text);
  }

  /** Absent is fine. */
  async erase(server: string): Promise<void> {
    const answer = await this.#run('erase', server);
    if (answer.status !== 0 && !notFound.test(answer.text)) throw this.#failed(answer.text);
  }

  /** Installed, and able to keep something: a `pass` without a key is not. */
  async works(): Promise<boolean> {
    try {
      return (await this.#run('list', '')).status === 0;
    } catch (error) {
      if (error instanceof EngineError) return false;
      throw error;
    }
  }

  async #run(action: string, input: string): Promise<{ status: number | null; text: string }> {
    const child = spawn(this.program, [action], { stdio: ['pipe', 'pipe', 'ignore'], env: { ...this.#environment } });
    const closed = new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    // One that ends without reading is judged by its status.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    try {
      const [output, status] = await Promise.all([readAll(child.stdout, maxAnswerBytes), closed]);
      return { status, text: output.toString('utf8').trim() };
    } catch (cause) {
      const fact = isErrno(cause, 'ENOENT') ? 'executable file not found in $PATH' : String(cause);
      throw new EngineError('failed-precondition', `error getting credentials - ${this.program}: ${fact}`, { cause });
    }
  }

  #parse(output: string): { Username?: string; Secret?: string } {
    try {
      return JSON.parse(output) as { Username?: string; Secret?: string };
    } catch (cause) {
      throw new EngineError('invalid-argument', `${this.program}: its answer is not JSON`, { cause });
    }
  }

  #failed(text: string): EngineError {
    return new EngineError('failed-precondition', `error of ${this.program}: ${text || 'it said nothing'}`);
  }
}

/** The helpers docker's own installation brings for Linux, in its order. */
const usualHelpers = ['pass', 'secretservice'];

/** The helper to use where nothing is configured. */
export async function detectHelper(environment: Environment): Promise<string | undefined> {
  for (const name of usualHelpers) if (await new CredentialHelper(name, environment).works()) return name;
  return undefined;
}
