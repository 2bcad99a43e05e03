import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isKind } from '#errdefs';
import type { ByteSource } from '#streams';
import type { Connection } from './connection.ts';
import { type FrameHead, FrameReader, frameHead, opcodes, ProtocolError } from './websocket-frames.ts';

const version = '13';
const keySuffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const normalClosure = 1000;
const protocolError = 1002;

/** The server's answer to a WebSocket handshake (RFC 6455), without extensions: all that is sent. */
export function answerHandshake(headers: IncomingHttpHeaders): { readonly accepted: boolean; readonly answer: string } {
  const names = (value: string | undefined) => (value ?? '').toLowerCase().split(/\s*,\s*/);
  if (!names(headers.upgrade).includes('websocket') || !names(headers.connection).includes('upgrade')) {
    return refused('not websocket protocol');
  }
  const key = headers['sec-websocket-key'];
  if (!key) return refused('mismatch challenge/response');
  if (headers['sec-websocket-version'] !== version) {
    return refused('missing or bad WebSocket Version', [`Sec-WebSocket-Version: ${version}`]);
  }
  const protocol = headers['sec-websocket-protocol']?.trim() ?? '';
  // Nothing here knows one from another: a client that offers one gets it.
  if (protocol.includes(',')) return refused('missing or bad WebSocket-Protocol');
  const accept = createHash('sha1').update(`${key}${keySuffix}`).digest('base64');
  const lines = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`];
  if (protocol !== '') lines.push(`Sec-WebSocket-Protocol: ${protocol}`);
  return { accepted: true, answer: `${['HTTP/1.1 101 Switching Protocols', ...lines].join('\r\n')}\r\n\r\n` };
}

function refused(text: string, lines: readonly string[] = []) {
  return { accepted: false, answer: `${['HTTP/1.1 400 Bad Request', ...lines].join('\r\n')}\r\n\r\n${text}` };
}

/**
 * The server's end of a WebSocket, as a two-way stream of bytes: how the client cut its messages does not matter, and each write is a message. Text
 * is not looked at: what a process writes is cut anywhere. `input` must be read: pings are answered and the end is seen there.
 */
export class WebSocketConnection implements AsyncDisposable {
  readonly #connection: Connection;
  readonly #opcode: number;
  #closeSent = false;

  constructor(connection: Connection, messages: 'binary' | 'text') {
    this.#connection = connection;
    this.#opcode = opcodes[messages];
  }

  get input(): ByteSource {
    return this.#read();
  }

  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  /** Resolves as {@link Connection.write} does. */
  async write(data: Uint8Array): Promise<void> {
    if (data.byteLength > 0) await this.#send(this.#opcode, data);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close(normalClosure);
    await this.#connection[Symbol.asyncDispose]();
  }

  async #send(opcode: number, data: Uint8Array): Promise<void> {
    await this.#connection.write(Buffer.concat([frameHead(opcode, data.byteLength), data]));
  }

  async #close(status: number): Promise<void> {
    if (this.#closeSent) return;
    this.#closeSent = true;
    await this.#send(opcodes.close, Buffer.of(status >> 8, status & 0xff)).catch((error: unknown) => {
      if (!isKind(error, 'canceled')) throw error;
    });
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    const reader = new FrameReader(this.#connection.input);
    try {
      for (let frame = await reader.next(); frame; frame = await reader.next()) {
        if (frame.opcode === opcodes.close) break;
        if (frame.opcode < opcodes.close) yield* reader.payload();
        else await this.#answer(frame, await reader.wholePayload());
      }
      await this.#close(normalClosure);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      await this.#close(protocolError);
    }
    // Nothing that follows is for us.
    await this.#connection[Symbol.asyncDispose]();
  }

  async #answer(frame: FrameHead, payload: Uint8Array): Promise<void> {
    if (frame.opcode === opcodes.ping) await this.#send(opcodes.pong, payload);
  }
}
