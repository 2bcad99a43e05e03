import { join } from 'node:path';
import { EngineError } from '#errdefs';
import { ConsoleConnection } from './console-connection.ts';
import { sendResize } from './ctl-fifo.ts';
import { OutputQueue } from './output-queue.ts';
import type { Attachment, OutputChunk } from './types.ts';

/** What may wait for one client before the process is held back. */
const bufferedBytes = 1 << 20;

export interface ConsoleOptions {
  /** Where conmon keeps its `attach` socket and `ctl` fifo. */
  readonly folder: string;
  readonly terminal: boolean;
  readonly openStdin: boolean;
  /** conmon was told to close the process's input with its first client. */
  readonly stdinOnce: boolean;
}

/**
 * The stdio of one process behind conmon, shared by any number of attachments over one connection: conmon closes a `stdinOnce`
 * input whenever any client leaves, so clients that only look on must not be connections of their own.
 */
export class Console {
  readonly #options: ConsoleOptions;
  readonly #clients = new Set<Client>();
  #connection: ConsoleConnection | undefined;
  #held: Client | undefined;
  #inputEnded = false;
  #ended = false;

  constructor(options: ConsoleOptions) {
    this.#options = options;
  }

  attach(options: { input?: boolean } = {}): Attachment {
    const held = this.#held;
    this.#held = undefined;
    const client = held ?? this.#join();
    client.holdsInput = options.input ?? false;
    return client;
  }

  /** Attaches on behalf of the next {@link attach}, which then misses nothing. */
  hold(): void {
    this.#held ??= this.#join();
  }

  /** The process's output is complete, or must be taken for it. */
  end(): void {
    this.#ended = true;
    this.#disconnect();
    for (const client of this.#clients) client.queue.end();
  }

  /** Without a terminal there is nothing to do. */
  resize(rows: number, columns: number): void {
    if (!this.#options.terminal) return;
    const valid = [rows, columns].every((size) => Number.isInteger(size) && size >= 0 && size <= 0xffff);
    if (!valid) throw new EngineError('invalid-argument', `resize: ${rows} rows, ${columns} columns`);
    sendResize(this.#options.folder, rows, columns);
  }

  #join(): Client {
    this.#connect();
    const client = new Client(this);
    if (this.#connection === undefined) client.queue.end();
    this.#clients.add(client);
    return client;
  }

  #connect(): void {
    if (this.#connection !== undefined || this.#ended) return;
    this.#connection = ConsoleConnection.open(join(this.#options.folder, 'attach'), {
      onChunk: (chunk) => this.#deliver(chunk),
      onEnd: () => this.end(),
    });
  }

  #disconnect(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  #deliver(chunk: OutputChunk): void {
    for (const client of this.#clients) client.queue.push(chunk);
    if (this.#someoneIsFull()) this.#connection?.pause();
  }

  #someoneIsFull(): boolean {
    return this.#clients.values().some((client) => client.queue.isFull);
  }

  /** A client has room again. */
  onRoom(): void {
    if (!this.#someoneIsFull()) this.#connection?.resume();
  }

  async send(data: Uint8Array): Promise<void> {
    if (!this.#options.openStdin || this.#inputEnded) return;
    await this.#connection?.send(data);
  }

  async endInput(): Promise<void> {
    if (!this.#options.openStdin || !this.#options.stdinOnce || this.#inputEnded) return;
    this.#inputEnded = true;
    await this.#connection?.endInput();
  }

  async leave(client: Client): Promise<void> {
    if (!this.#clients.delete(client)) return;
    client.queue.discard();
    // Who leaves a terminal may come back: only pipes end with the client that fed them.
    if (client.holdsInput && !this.#options.terminal) await this.endInput();
    const inputHangsOnIt = this.#options.openStdin && this.#options.stdinOnce && !this.#inputEnded;
    if (this.#clients.size === 0 && !inputHangsOnIt) this.#disconnect();
  }
}

class Client implements Attachment {
  readonly queue: OutputQueue;
  readonly output: AsyncIterable<OutputChunk>;
  holdsInput = false;
  readonly #console: Console;

  constructor(console: Console) {
    this.#console = console;
    this.queue = new OutputQueue({ limitBytes: bufferedBytes, onRoom: () => console.onRoom() });
    this.output = this.#read();
  }

  write(data: Uint8Array): Promise<void> {
    return this.#console.send(data);
  }

  closeInput(): Promise<void> {
    return this.#console.endInput();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#console.leave(this);
  }

  async *#read(): AsyncGenerator<OutputChunk> {
    try {
      for (let chunk = await this.queue.next(); chunk; chunk = await this.queue.next()) yield chunk;
    } finally {
      await this.#console.leave(this);
    }
  }
}
