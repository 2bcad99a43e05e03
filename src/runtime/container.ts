import { setTimeout as delay } from 'node:timers/promises';
import { log } from '#log';
import type { Cgroup } from './cgroups.ts';
import type { Console } from './console.ts';
import type { ExitRecord, Exits } from './exits.ts';
import { Pidfd, parentOf } from './pidfd.ts';
import type { Attachment, ExitStatus, RunningProcess } from './types.ts';

const sigkill = 9;
/** What containerd reports for a container whose shim is gone. */
const exitCodeOfLost = 128 + sigkill;
/** From the end of conmon to its exit file being seen: it is written before conmon ends. */
const exitFileGraceMs = 200;

export interface ContainerParts {
  readonly id: string;
  readonly pid: number;
  /** Undefined when it is known to have ended, or not known at all. */
  readonly conmonPid: number | undefined;
  readonly startedAt: Date;
  readonly cgroup: Cgroup;
  readonly exits: Exits;
  readonly console: Console;
}

/** One container with its init in it, from `create` or `adopt` until it is deleted. */
export class Container implements RunningProcess, Disposable {
  readonly id: string;
  readonly pid: number;
  readonly cgroup: Cgroup;
  readonly exited: Promise<ExitStatus>;
  #startedAt: Date;
  #hasExited = false;
  readonly #console: Console;
  readonly #exits: Exits;
  readonly #init: Pidfd | undefined;
  readonly #conmon: Pidfd | undefined;
  #onLost: (record: ExitRecord) => void = () => {};

  constructor(parts: ContainerParts) {
    this.id = parts.id;
    this.pid = parts.pid;
    this.cgroup = parts.cgroup;
    this.#startedAt = parts.startedAt;
    this.#console = parts.console;
    this.#exits = parts.exits;
    this.#init = Pidfd.open(parts.pid);
    const conmonPid = parts.conmonPid ?? parentOf(parts.pid);
    this.#conmon = conmonPid === undefined ? undefined : Pidfd.open(conmonPid);
    const lost = new Promise<ExitRecord>((resolve) => {
      this.#onLost = resolve;
    });
    this.exited = Promise.race([this.#exits.wait(this.id), lost]).then((record) => this.#finish(record));
    if (this.#conmon === undefined) void this.#onConmonEnd();
    else this.#conmon.onEnd(() => void this.#onConmonEnd());
  }

  get startedAt(): Date {
    return this.#startedAt;
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  markStarted(time: Date): void {
    this.#startedAt = time;
  }

  /** False when the init has ended. */
  signal(number: number): boolean {
    return this.#init?.signal(number) ?? false;
  }

  async attach(options: { input?: boolean } = {}): Promise<Attachment> {
    return this.#console.attach(options);
  }

  async resize(rows: number, columns: number): Promise<void> {
    this.#console.resize(rows, columns);
  }

  /** Lets go of descriptors; the container goes on. Of one that has exited, attachments still read what is left. */
  [Symbol.dispose](): void {
    this.#init?.[Symbol.dispose]();
    this.#conmon?.[Symbol.dispose]();
    if (!this.#hasExited) this.#console.end();
  }

  #finish(record: ExitRecord): ExitStatus {
    // Attachments end by themselves: conmon has closed its side, and what it sent before may still be on its way.
    this.#hasExited = true;
    this.#init?.[Symbol.dispose]();
    this.#conmon?.[Symbol.dispose]();
    return {
      exitCode: record.exitCode,
      oomKilled: this.cgroup.wasOomKilled(),
      // The file's time is that of the kernel's last tick, which may lie before a start it came after.
      finishedAt: new Date(Math.max(record.finishedAt.getTime(), this.#startedAt.getTime())),
    };
  }

  /** conmon writes the exit file before it ends. If there is none, somebody killed it: nobody serves the container's pipes then. */
  async #onConmonEnd(): Promise<void> {
    for (let waitedMs = 0; waitedMs < exitFileGraceMs; waitedMs += 20) {
      if (this.#hasExited || this.#exits.recheck(this.id)) return;
      await delay(20, undefined, { ref: false });
    }
    log.warn('conmon ended without an exit code: its container is killed', { container: this.id });
    this.signal(sigkill);
    this.#onLost({ exitCode: exitCodeOfLost, finishedAt: new Date() });
  }
}
