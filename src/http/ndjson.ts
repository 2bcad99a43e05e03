import type { Writable } from 'node:stream';
import { EngineError } from '#errdefs';
import type { ByteSource } from '#streams';
import { wentAway } from './connection.ts';

/** A longer line is not a progress message but an attack or another protocol. */
const defaultLineLimitBytes = 16 << 20;

/** Writes to a response; resolves when there is room for more. @throws `canceled` when the peer has gone. */
export async function writeWithPressure(writable: Writable, data: Uint8Array | string): Promise<void> {
  if (writable.destroyed) throw wentAway(writable.errored);
  if (writable.write(data)) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      writable.off('drain', done);
      writable.off('close', done);
      resolve();
    };
    writable.on('drain', done);
    writable.on('close', done);
  });
  if (writable.destroyed) throw wentAway(writable.errored);
}

/** JSON values, one per line, each on its way before the next is asked for. Docker ends progress lines with CRLF, others with LF. */
export class NdjsonWriter {
  readonly #writable: Writable;
  readonly #newline: string;

  constructor(writable: Writable, newline: '\r\n' | '\n' = '\r\n') {
    this.#writable = writable;
    this.#newline = newline;
  }

  async write(value: unknown): Promise<void> {
    await writeWithPressure(this.#writable, JSON.stringify(value) + this.#newline);
  }
}

/** Lines of text without their line ends; the last needs none. @throws `out-of-range` for an endless line. */
export async function* readLines(source: ByteSource, limitBytes = defaultLineLimitBytes): AsyncGenerator<string> {
  let parts: Uint8Array[] = [];
  let partBytes = 0;
  const take = (last: Uint8Array) => {
    const line = Buffer.concat([...parts, last]).toString('utf8');
    parts = [];
    partBytes = 0;
    return line.endsWith('\r') ? line.slice(0, -1) : line;
  };
  for await (const chunk of source) {
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      yield take(chunk.subarray(from, at));
      from = at + 1;
    }
    if (from === chunk.byteLength) continue;
    parts.push(chunk.slice(from));
    partBytes += chunk.byteLength - from;
    if (partBytes > limitBytes) {
      throw new EngineError('out-of-range', `read line: larger than ${limitBytes} bytes`);
    }
  }
  if (partBytes > 0) yield take(new Uint8Array(0));
}

/** JSON values, one per line; empty lines are skipped. The caller decodes them. @throws `data-loss` on a line that is not JSON. */
export async function* readNdjson(source: ByteSource): AsyncGenerator<unknown> {
  for await (const line of readLines(source)) {
    if (line.trim() === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      throw new EngineError('data-loss', `read JSON line: ${line.slice(0, 200)}`, { cause });
    }
    yield value;
  }
}
