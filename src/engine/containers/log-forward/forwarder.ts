import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { isErrno } from '#errdefs';
import { log } from '#log';
import type { LogFollow, LogMessage } from '#runtime';
import { LogPosition } from './position.ts';
import type { LogSink } from './sink.ts';

const [firstRetryMs, maxRetryMs] = [100, 5_000];
/** What the kernel takes at once needs no turn of the event loop; others get theirs after so many messages. */
const messagesPerTurn = 64;

export interface ForwardOptions {
  readonly positionPath: string;
  readonly open: () => Promise<LogSink>;
  readonly messages: (follow: LogFollow) => AsyncIterable<Iterable<LogMessage>>;
  /** For what it says. */
  readonly name: string;
}

/**
 * Sends a container's messages on from its log, one after the other. A server that is away is waited for, and the log with it; how far it got
 * is kept in a file, so that the next daemon, or the container's next run, goes on from there.
 */
export class LogForwarder {
  readonly #options: ForwardOptions;
  readonly #stop = new AbortController();
  #sink: LogSink | undefined;
  #done: Promise<void> = Promise.resolve();

  constructor(options: ForwardOptions) {
    this.#options = options;
  }

  /** To be known before the container runs: whether there is somebody to send to. */
  async connect(): Promise<void> {
    this.#sink = await this.#options.open();
  }

  /** Ends by itself once everything up to the end of the process is sent, and resolves then. */
  begin(ended: Promise<unknown>): Promise<void> {
    this.#done = this.#run(ended)
      .catch((error: unknown) => log.error('a log is not sent on', { container: this.#options.name, error }))
      .finally(() => this.#close());
    return this.#done;
  }

  /** Resolves when it has ended, or the time is over. */
  async drained(withinMs: number): Promise<void> {
    const waited = new AbortController();
    const limit = wait(withinMs, undefined, { ref: false, signal: waited.signal }).catch(() => {});
    await Promise.race([this.#done, limit]);
    waited.abort();
  }

  /** What is not sent yet stays for another. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#close();
    await this.#done;
  }

  /** For a container that goes: what is not sent by then is lost, which is said. */
  endWithin(limitMs: number): void {
    let isDone = false;
    void this.#done.then(() => {
      isDone = true;
    });
    void this.drained(limitMs).then(() => {
      if (isDone || this.#stop.signal.aborted) return;
      log.warn('messages of a removed container could not be sent on', { container: this.#options.name });
      return this.stop();
    });
  }

  async #run(ended: Promise<unknown>): Promise<void> {
    const { positionPath, messages } = this.#options;
    const from = LogPosition.read(positionPath);
    using position = new LogPosition(positionPath);
    let sent = 0;
    for await (const block of messages({ from, ended, signal: this.#stop.signal })) {
      const list = [...block];
      for (let at = 0; at < list.length; ) {
        const some = list.slice(at, at + (this.#sink?.batch ?? 1));
        position.prepare(some.at(-1)!.mark);
        const sending = this.#begin(some);
        if (sending && !(await this.#delivered(some, sending))) return;
        position.write();
        at += some.length;
        sent += some.length;
        if (sent < messagesPerTurn) continue;
        sent = 0;
        await nextTurn();
      }
    }
  }

  /** Nothing when the kernel has them already. */
  #begin(messages: readonly LogMessage[]): Promise<void> | undefined {
    if (!this.#sink) return this.#openAndSend(messages);
    try {
      return this.#sink.send(messages);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #openAndSend(messages: readonly LogMessage[]): Promise<void> {
    this.#sink = await this.#open();
    await this.#sink.send(messages);
  }

  /** Again until it works, from a send that has begun. False when it was stopped before. */
  async #delivered(messages: readonly LogMessage[], begun: Promise<void>): Promise<boolean> {
    const { signal } = this.#stop;
    let sending: Promise<void> | undefined = begun;
    for (let waitMs = firstRetryMs; ; waitMs = Math.min(2 * waitMs, maxRetryMs)) {
      try {
        await sending;
        return true;
      } catch (error) {
        this.#close();
        if (signal.aborted) return false;
        if (isErrno(error, 'EMSGSIZE')) return this.#passOver(messages);
        if (waitMs === firstRetryMs) log.warn('a log waits for its server', { container: this.#options.name, error });
        await wait(waitMs, undefined, { ref: false, signal }).catch(() => {});
        if (signal.aborted) return false;
      }
      sending = this.#begin(messages);
    }
  }

  /** A server that does not answer keeps nobody who stops this. */
  async #open(): Promise<LogSink> {
    const { signal } = this.#stop;
    const opening = this.#options.open();
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([opening, stopped]);
    } catch (error) {
      opening.then(
        (sink) => sink.close(),
        () => {},
      );
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #passOver(messages: readonly LogMessage[]): true {
    const sizeBytes = messages.reduce((sum, { text }) => sum + text.length, 0);
    log.warn('a message is too long for its server', { container: this.#options.name, sizeBytes });
    return true;
  }

  #close(): void {
    this.#sink?.close();
    this.#sink = undefined;
  }
}
