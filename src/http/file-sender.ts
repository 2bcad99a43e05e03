import type { FileHandle } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { Worker } from 'node:worker_threads';
import { workerEntry } from '#concurrency';
import { isKind } from '#errdefs';
import { log } from '#log';
import type { FilePart } from '#streams';
import { wentAway } from './connection.ts';

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
  readonly range: { readonly offset: number; readonly length: number };
  readonly open: () => Promise<FileHandle>;
}

type Descriptors = Pick<typeof import('#sys').sys, 'duplicate' | 'close'>;

/** Smaller ones are read sooner than handed over. */
const minBytes = 1 << 20;
/** Of a chunked body: there are readers that hold a chunk whole. */
const maxChunkBytes = 8 << 20;

/**
 * Sends files to plain connections by sendfile(2), in a thread of its own: the bytes go from the page cache to the socket and pass through no JavaScript.
 * Node writes the head of the answer before and ends it after; in between it only reads.
 */
export class FileSender implements AsyncDisposable {
  #descriptors: Promise<Descriptors | undefined> | undefined;
  #worker: Worker | undefined;
  #lastID = 0;
  readonly #waiting = new Map<number, (answer: SendAnswer) => void>();

  /** Answers whether it has dealt with the answer; where it has not, nothing was written yet. A connection that breaks is no error. */
  async send(response: ServerResponse, { status, headers, range, open }: FileAnswer): Promise<boolean> {
    if (range.length < minBytes || !(await this.#canReach(response))) return false;
    await using file = await open();
    const socket = response.socket!;
    response.writeHead(status, headers);
    response.flushHeaders();
    await written(socket);
    const fd = descriptorOf(response);
    // The client has left.
    if (fd === undefined) return true;
    const failure = await this.#hand(socket, fd, { fd: file.fd, offset: range.offset, lengthBytes: range.length });
    if (failure === undefined) response.end();
    else {
      log.debug('a file was not sent to its end', { failure });
      response.destroy();
    }
    return true;
  }

  /**
   * Sends a run of a file behind what was written of an answer. Answers whether it did: otherwise nothing of it went. The answer breaks off where it fails.
   * @throws `canceled` then.
   */
  async append(response: ServerResponse, part: FilePart): Promise<boolean> {
    if (part.lengthBytes < minBytes || !(await this.#canReach(response))) return false;
    const isChunked = response.chunkedEncoding;
    const end = part.offset + part.lengthBytes;
    // Between the chunks of Node's making, which it holds together until the end of a turn.
    await new Promise((resolve) => setImmediate(resolve));
    for (let offset = part.offset; offset < end; ) {
      const lengthBytes = Math.min(isChunked ? maxChunkBytes : part.lengthBytes, end - offset);
      if (isChunked) response.socket?.write(`${lengthBytes.toString(16)}\r\n`);
      await this.#appendRun(response, { fd: part.fd, offset, lengthBytes });
      if (isChunked) response.socket?.write('\r\n');
      offset += lengthBytes;
    }
    return true;
  }

  async #appendRun(response: ServerResponse, run: FilePart): Promise<void> {
    if (response.socket) await written(response.socket);
    const fd = descriptorOf(response);
    const isLeft = fd === undefined || response.writableLength > 0;
    const failure = isLeft ? 'the connection was closed' : await this.#hand(response.socket!, fd, run);
    if (failure === undefined) return;
    response.destroy();
    throw wentAway(failure);
  }

  /** By number, from another thread. */
  async #canReach(response: ServerResponse): Promise<boolean> {
    if (descriptorOf(response) === undefined) return false;
    this.#descriptors ??= loadAddon();
    return (await this.#descriptors) !== undefined;
  }

  /** Answers what went wrong, if anything. */
  async #hand(socket: Socket, fd: number, run: FilePart): Promise<string | undefined> {
    const descriptors = (await this.#descriptors)!;
    const id = ++this.#lastID;
    // Node may close its own at any time, and the number be another connection's then.
    const socketFd = descriptors.duplicate(fd);
    const answered = new Promise<SendAnswer>((resolve) => this.#waiting.set(id, resolve));
    const order = (message: SendOrder) => this.#thread().postMessage(message);
    const stop = () => order({ stop: id });
    socket.once('close', stop);
    try {
      order({ id, socketFd, fileFd: run.fd, offset: run.offset, length: run.lengthBytes });
      return (await answered).failure;
    } finally {
      socket.off('close', stop);
      descriptors.close(socketFd);
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

/** Undefined where the native addon is not built. */
async function loadAddon(): Promise<Descriptors | undefined> {
  try {
    return (await import('#sys')).sys;
  } catch (error) {
    if (!isKind(error, 'failed-precondition')) throw error;
    return undefined;
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
