import { isErrno } from '#errdefs';
import { type RecordReader, sys } from '#sys';
import type { OutputChunk } from './types.ts';

/** Larger than what conmon reads of output at a time, its mark included. */
const outputRecordBytes = 16 * 1024;
/** conmon reads at most 32 KiB of a record and loses the rest. */
const inputRecordBytes = 16 * 1024;
const stderrMark = 3;

/** One connection to conmon's attach socket: marked records of output this way, bytes of input the other. */
export class ConsoleConnection {
  readonly #fd: number;
  readonly #reader: RecordReader;
  #open = true;
  #sending: Promise<void> = Promise.resolve();

  private constructor(fd: number, handlers: { onChunk: (chunk: OutputChunk) => void; onEnd: () => void }) {
    this.#fd = fd;
    this.#reader = sys.readRecords(
      fd,
      outputRecordBytes,
      (record) => (record.length === 0 ? handlers.onEnd() : handlers.onChunk(unmark(record))),
      () => handlers.onEnd(),
    );
  }

  /** Undefined when nobody listens there any more. */
  static open(
    socketPath: string,
    handlers: { onChunk: (chunk: OutputChunk) => void; onEnd: () => void },
  ): ConsoleConnection | undefined {
    try {
      return new ConsoleConnection(sys.seqpacketConnect(socketPath), handlers);
    } catch (error) {
      if (isErrno(error, 'ENOENT') || isErrno(error, 'ECONNREFUSED') || isErrno(error, 'ENOTDIR')) return undefined;
      throw error;
    }
  }

  pause(): void {
    this.#reader.pause();
  }

  resume(): void {
    this.#reader.resume();
  }

  /** Calls are served in order, each whole. Input that nobody reads any more is discarded. */
  send(data: Uint8Array): Promise<void> {
    return this.#inOrder(() => this.#sendAll(data));
  }

  /** Half-close, after what was sent before. */
  endInput(): Promise<void> {
    return this.#inOrder(async () => {
      if (this.#open) this.#shutdown(1);
    });
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#reader.stop();
    this.#shutdown(2); // also wakes a send that waits for room
    sys.close(this.#fd);
  }

  #inOrder(task: () => Promise<void>): Promise<void> {
    const done = this.#sending.then(task);
    this.#sending = done.catch(() => {});
    return done;
  }

  async #sendAll(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.byteLength && this.#open; ) {
      const taken = this.#sendSome(data.subarray(at, at + inputRecordBytes));
      if (taken === undefined) return;
      at += taken;
      if (taken === 0) await new Promise<void>((resolve) => sys.whenWritable(this.#fd, resolve));
    }
  }

  /** Bytes taken; 0 when there is no room; undefined when the other side is gone. */
  #sendSome(data: Uint8Array): number | undefined {
    try {
      return Math.max(sys.writeSome(this.#fd, data), 0);
    } catch (error) {
      if (isErrno(error, 'EPIPE') || isErrno(error, 'ECONNRESET') || isErrno(error, 'ENOTCONN')) return undefined;
      throw error;
    }
  }

  #shutdown(how: 1 | 2): void {
    try {
      sys.shutdown(this.#fd, how);
    } catch (error) {
      if (!isErrno(error, 'ENOTCONN')) throw error;
    }
  }
}

function unmark(record: Buffer): OutputChunk {
  return { stream: record[0] === stderrMark ? 'stderr' : 'stdout', data: record.subarray(1) };
}
