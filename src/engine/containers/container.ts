import { Semaphore } from '#concurrency';
import type { Attachment, ExitStatus, RunningProcess } from '#runtime';
import type { LogForwarder } from './log-forward/forwarder.ts';
import type { ContainerBody, StoredHealth, StoredState } from './record.ts';

/** Who wants a process's stdio before the process exists. */
interface PendingAttachment {
  readonly input: boolean;
  readonly resolve: (attachment: Attachment) => void;
  readonly reject: (error: unknown) => void;
}

/** A container that exists: its stored body, and what is alive of it in this process. */
export class Container {
  readonly id: string;
  name: string;
  body: ContainerBody;
  process: RunningProcess | undefined;
  /** One state change at a time: create, start, exit, remove. */
  readonly lock = new Semaphore(1);
  /** Of those that are not over; another list with every change. */
  execIDs: readonly string[] = [];
  /** Given back when it has ended. */
  readonly lent: AsyncDisposable[] = [];
  removing = false;
  /** The exit was asked for (stop, kill): no policy starts it again. */
  stopRequested = false;
  /** It is to start again after its exit, whatever its policy says. */
  restartRequested = false;
  /** In the middle of a restart: not removed by its exit. */
  keepAfterExit = false;
  /** The delay before the last start by policy; 0 before the first. */
  restartDelayMs = 0;
  /** Sends its messages elsewhere, with a log driver that does. */
  logForwarder: LogForwarder | undefined;
  #healthWatch: AbortController | undefined;
  #restartTimer: NodeJS.Timeout | undefined;
  #pending: PendingAttachment[] = [];
  #isEnding = false;
  #exitWaiters: ((state: StoredState) => void)[] = [];
  #removeWaiters: ((state: StoredState) => void)[] = [];

  constructor(id: string, name: string, body: ContainerBody) {
    this.id = id;
    this.name = name;
    this.body = body;
  }

  /** Docker's meaning of the word: between two runs by policy, too. */
  get isRunning(): boolean {
    return this.isUp || this.body.state.status === 'restarting';
  }

  /** There is a process. */
  get isUp(): boolean {
    return this.body.state.status === 'running' || this.body.state.status === 'paused';
  }

  setHealth(health: StoredHealth): void {
    this.body = { ...this.body, health };
  }

  /** For the one who checks it from now on; who did before is told to end. */
  healthWatch(): AbortController {
    this.#healthWatch?.abort();
    this.#healthWatch = new AbortController();
    return this.#healthWatch;
  }

  endHealthWatch(): void {
    this.#healthWatch?.abort();
    this.#healthWatch = undefined;
  }

  /** Nobody checks a container that does not run: as in dockerd it counts as unhealthy. */
  stopHealth(): void {
    this.endHealthWatch();
    if (this.body.health) this.setHealth({ ...this.body.health, status: 'unhealthy' });
  }

  /** Calls `start` after {@link restartDelayMs}, which keeps no program alive. */
  restartAfterDelay(start: () => Promise<void>): void {
    clearTimeout(this.#restartTimer);
    this.#restartTimer = setTimeout(() => void start(), this.restartDelayMs).unref();
  }

  cancelRestart(): void {
    clearTimeout(this.#restartTimer);
    this.#restartTimer = undefined;
  }

  setState(change: Partial<StoredState>): void {
    this.body = { ...this.body, state: { ...this.body.state, ...change } };
  }

  /** An attachment now when the process runs, or as soon as it is created and before it starts. */
  attachment(options: { input: boolean }): Promise<Attachment> {
    if (this.process) return this.process.attach(options);
    return new Promise((resolve, reject) => this.#pending.push({ ...options, resolve, reject }));
  }

  /** Hands the new process's stdio to everyone who waits for it. Call between create and start. */
  async connectPending(process: RunningProcess): Promise<void> {
    this.process = process;
    const pending = this.#pending;
    this.#pending = [];
    await Promise.all(
      pending.map((waiter) => process.attach({ input: waiter.input }).then(waiter.resolve, waiter.reject)),
    );
  }

  /** The process will not come: start failed or the container goes. */
  failPending(error: unknown): void {
    const pending = this.#pending;
    this.#pending = [];
    for (const waiter of pending) waiter.reject(error);
  }

  /** The end of a run whose parts are let go of: it is told when they are. */
  beginExit(): void {
    this.#isEnding = true;
  }

  /** Resolves when nothing runs and nothing of a run is left. */
  async ended(): Promise<StoredState> {
    return this.isRunning || this.#isEnding ? await this.nextExit() : this.body.state;
  }

  nextExit(): Promise<StoredState> {
    return new Promise((resolve) => this.#exitWaiters.push(resolve));
  }

  removed(): Promise<StoredState> {
    return new Promise((resolve) => this.#removeWaiters.push(resolve));
  }

  /** Calls `listener` when it is removed, unless it is taken back before. */
  onRemoval(listener: () => void): void {
    this.#removeWaiters.push(listener);
  }

  offRemoval(listener: () => void): void {
    this.#removeWaiters = this.#removeWaiters.filter((waiter) => waiter !== listener);
  }

  announceExit(): void {
    this.#isEnding = false;
    const waiters = this.#exitWaiters;
    this.#exitWaiters = [];
    for (const wake of waiters) wake(this.body.state);
  }

  announceRemoval(): void {
    const waiters = [...this.#removeWaiters, ...this.#exitWaiters];
    this.#removeWaiters = [];
    this.#exitWaiters = [];
    for (const wake of waiters) wake(this.body.state);
  }
}

export type { ExitStatus };
