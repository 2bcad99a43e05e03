import { stat } from 'node:fs/promises';
import { EngineError } from '#errdefs';
import { readBounded } from '#files';
import { log } from '#log';
import { PasswordCheck } from './password-check.ts';

const maxFileBytes = 8 << 20;
const lookMs = 1_000;
/** bcrypt of nothing anybody knows: a user who is not there takes as long as one who is. */
const nobodysHash = '$2y$10$abcdefghijklmnopqrstuuDzHKAmeVWWqI8nbd3S1ZoJAJ0Vd8DPC';
const hashForm = /^\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/;

/** A file of `user:bcrypt` lines, as `htpasswd -B` writes it; read again when it has changed. */
export class Htpasswd implements AsyncDisposable {
  readonly #path: string;
  readonly #check = new PasswordCheck();
  #hashes: ReadonlyMap<string, string>;
  #version: string;
  #lookedMs = Date.now();

  private constructor(path: string, hashes: ReadonlyMap<string, string>, version: string) {
    this.#path = path;
    this.#hashes = hashes;
    this.#version = version;
  }

  /** @throws `invalid-argument` on a line that is not bcrypt. */
  static async open(path: string): Promise<Htpasswd> {
    return new Htpasswd(path, await readHashes(path), await versionOf(path));
  }

  async isRight(user: string, password: string): Promise<boolean> {
    await this.#refresh();
    const hash = this.#hashes.get(user);
    const isRight = await this.#check.isRight(password, hash ?? nobodysHash);
    return isRight && hash !== undefined;
  }

  /** Whether the user is (still) there: tokens outlive the line in the file. */
  async has(user: string): Promise<boolean> {
    await this.#refresh();
    return this.#hashes.has(user);
  }

  async #refresh(): Promise<void> {
    if (Date.now() - this.#lookedMs < lookMs) return;
    this.#lookedMs = Date.now();
    try {
      const version = await versionOf(this.#path);
      if (version === this.#version) return;
      this.#hashes = await readHashes(this.#path);
      this.#version = version;
      log.info('read passwords again', { path: this.#path, users: this.#hashes.size });
    } catch (error) {
      log.error('reading passwords again failed, the old ones stay', { path: this.#path, error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#check[Symbol.asyncDispose]();
  }
}

async function versionOf(path: string): Promise<string> {
  const { mtimeMs, size, ino } = await stat(path);
  return `${mtimeMs} ${size} ${ino}`;
}

async function readHashes(path: string): Promise<ReadonlyMap<string, string>> {
  const text = (await readBounded(path, maxFileBytes))?.toString('utf8');
  if (text === undefined) throw new EngineError('not-found', `read passwords: there is no ${path}`);
  const hashes = new Map<string, string>();
  text.split('\n').forEach((line, at) => {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) return;
    const colon = trimmed.indexOf(':');
    const hash = trimmed.slice(colon + 1);
    if (colon < 1 || !hashForm.test(hash)) {
      throw new EngineError(
        'invalid-argument',
        `read passwords: ${path}:${at + 1}: want user:bcrypt hash (htpasswd -B)`,
      );
    }
    hashes.set(trimmed.slice(0, colon), hash);
  });
  return hashes;
}
