import type { FileHandle } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { Worker } from 'node:worker_threads';
import { workerEntry } from '#concurrency';
import { isKind } from '#errdefs';
import { log } from '#log';
import type { ByteRange } from './store/blob-store.ts';

export type SendOrder =
  | {
      readonly id: number;
      readonly socketFd: number;
      readonly fileFd: number;
      readonly offset: number;
      readonly length: number;
    }
  | { readonly stop: number };

/** Everything went, unless there is a failure. */
export interface SendAnswer {
  readonly id: number;
  readonly failure?: string;
}

export interface FileAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly range: ByteRange;
  readonly open: () => Promise<FileHandle>;
}

type Descriptors = Pick<typeof import('#sys').sys, 'duplicate' | 'close'>;

/** Smaller ones are read sooner than handed over. */
const minBytes = 1 << 20;

/**
 * Sends files to plain connections by sendfile(2), in a thread of its own: the bytes go from the page cache to the socket and pass through no JavaScript.
 * Node writes the head of the answer before and ends it after; in between it only reads.
 */
export class FileSender implements AsyncDisposable {
  readonly #descriptors: Descriptors;
  #worker: Worker | undefined;
  #lastID = 0;
  readonly #waiting = new Map<number, (answer: SendAnswer) => void>();

  private constructor(descriptors: Descriptors) {
    this.#descriptors = descriptors;
  }

  /** Undefined where the native addon is not built. */
  static async open(): Promise<FileSender | undefined> {
    try {
      return new FileSender((await import('#sys')).sys);
    } catch (error) {
      if (!isKind(error, 'failed-precondition')) throw error;
      return undefined;
    }
  }

  /** Answers whether it has dealt with the answer; where it has not, nothing was written yet. A connection that breaks is no error. */
  async send(response: ServerResponse, { status, headers, range, open }: FileAnswer): Promise<boolean> {
    if (range.length < minBytes || descriptorOf(response) === undefined) return false;
    await using file = await open();
    const socket = response.socket!;
    response.writeHead(status, headers);
    response.flushHeaders();
    await written(socket);
    const fd = descriptorOf(response);
    // The client has left.
    if (fd === undefined) return true;
    const failure = await this.#hand(socket, fd, file, range);
    if (failure === undefined) response.end();
    else {
      log.debug('a file was not sent to its end', { failure });
      response.destroy();
    }
    return true;
  }

  /** Answers what went wrong, if anything. */
  async #hand(
    socket: Socket,
    fd: number,
    file: FileHandle,
    { offset, length }: ByteRange,
  ): Promise<string | undefined> {
    const id = ++this.#lastID;
    // Node may close its own at any time, and the number be another connection's then.
    const socketFd = this.#descriptors.duplicate(fd);
    const answered = new Promise<SendAnswer>((resolve) => this.#waiting.set(id, resolve));
    const order = (message: SendOrder) => this.#thread().postMessage(message);
    const stop = () => order({ stop: id });
    socket.once('close', stop);
    try {
      order({ id, socketFd, fileFd: file.fd, offset, length });
      return (await answered).failure;
    } finally {
      socket.off('close', stop);
      this.#descriptors.close(socketFd);
    }
  }

  #thread(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(workerEntry(import.meta.url, './send-file.worker.ts'));
    worker.unref();
    worker.on('message', (answer: SendAnswer) => this.#settle(answer));
    worker.on('error', (error) => log.error('the thread that sends files failed', { error }));
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
      for (const id of [...this.#waiting.keys()]) this.#settle({ id, failure: 'its thread ended' });
    });
    this.#worker = worker;
    return worker;
  }

  #settle(answer: SendAnswer): void {
    this.#waiting.get(answer.id)?.(answer);
    this.#waiting.delete(answer.id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate();
  }
}

/** The number of a plain connection that is this answer's turn; of any other there is none. */
function descriptorOf({ socket }: ServerResponse): number | undefined {
  if (!(socket instanceof Socket) || socket instanceof TLSSocket || socket.destroyed) return undefined;
  const { fd } = (socket as { _handle?: { fd?: number } | null })._handle ?? {};
  return fd !== undefined && fd >= 0 ? fd : undefined;
}

/** Nothing is left that Node would write by itself. */
async function written(socket: Socket): Promise<void> {
  if (socket.writableLength === 0) return;
  await new Promise<void>((resolve) => socket.write('', () => resolve()));
}
