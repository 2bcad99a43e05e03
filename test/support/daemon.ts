/** A `wherryd` of a test's own: private data root, run root and socket; stopped and removed when disposed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '#client';
import { scratchFolder } from '#testing';

const home = join(import.meta.dirname, '..', '..');

export interface DaemonOptions {
  readonly flags?: readonly string[];
  /** A command line that the daemon's is put behind, and that becomes the daemon. */
  readonly within?: readonly string[];
  /** An existing folder to use and to leave alone. */
  readonly folder?: string;
}

export class TestDaemon implements AsyncDisposable {
  readonly folder: string;
  readonly host: string;
  readonly #flags: readonly string[];
  readonly #ownsFolder: boolean;
  readonly #within: readonly string[];
  #child: ChildProcess | undefined;

  private constructor(folder: string, options: DaemonOptions) {
    this.folder = folder;
    this.host = `unix://${join(folder, 'wherry.sock')}`;
    this.#flags = options.flags ?? [];
    this.#within = options.within ?? [];
    this.#ownsFolder = options.folder === undefined;
  }

  static async start(options: DaemonOptions = {}): Promise<TestDaemon> {
    const folder = options.folder ?? (await mkdtemp(join(scratchFolder(), 'wherry-daemon-')));
    // Containers with IDs of their own come through it.
    if (options.folder === undefined) await chmod(folder, 0o711);
    const daemon = new TestDaemon(folder, options);
    try {
      await daemon.start();
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw error;
    }
    return daemon;
  }

  get dataRoot(): string {
    return join(this.folder, 'data');
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** What the daemon wrote to its log so far. */
  get log(): string {
    return readFileSync(join(this.folder, 'wherryd.log'), 'utf8');
  }

  /** The command line without the program, for tests that start it themselves. */
  get flags(): string[] {
    const own = [
      '--data-root',
      this.dataRoot,
      '--exec-root',
      join(this.folder, 'run'),
      '--pidfile',
      join(this.folder, 'wherryd.pid'),
    ];
    return [...own, '-H', this.host, ...this.#flags];
  }

  async start(): Promise<void> {
    const log = openSync(join(this.folder, 'wherryd.log'), 'a');
    const [program = '', ...args] = [...this.#within, join(home, 'bin/wherryd'), ...this.flags];
    const child = spawn(program, args, { stdio: ['ignore', log, log] });
    this.#child = child;
    await using engine = connect(this.host);
    for (let tries = 0; tries < 2400; tries++) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`wherryd ended at once:\n${this.log}`);
      try {
        await engine.system.ping();
        return;
      } catch {
        await wait(25);
      }
    }
    throw new Error(`wherryd does not answer:\n${this.log}`);
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  /** The crash: nothing of the daemon runs its clean-up. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    if (this.#ownsFolder) await rm(this.folder, { recursive: true, force: true });
  }
}
