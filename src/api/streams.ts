import type { AttachedStreams } from '#api-types';
import { isKind, messageOf } from '#errdefs';
import { type Connection, encodeFrame, isDisconnect, untilDetached, WebSocketConnection } from '#http';
import { log } from '#log';
import type { ByteSource } from '#streams';
import type { Call } from './call.ts';

type OutputChunk = { readonly stream: 'stdout' | 'stderr'; readonly data: Uint8Array };

export const rawStream = 'application/vnd.docker.raw-stream';
const multiplexedStream = 'application/vnd.docker.multiplexed-stream';

/** Clients before 1.42 know one name for both framings. */
export function streamType(call: Call, tty: boolean): string {
  return tty || call.before('1.42') ? rawStream : multiplexedStream;
}

/** A terminal's bytes go as they are, others in frames. */
export function wireBytes(tty: boolean, chunk: OutputChunk): Uint8Array {
  return tty ? chunk.data : encodeFrame(chunk.stream, chunk.data);
}

/** Takes the connection and writes the status line: 101 for clients that ask to upgrade, 200 for those from before. */
export async function acceptHijack(call: Call, tty: boolean): Promise<Connection> {
  const connection = call.hijack();
  const head = call.upgrade
    ? `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${streamType(call, tty)}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`
    : `HTTP/1.1 200 OK\r\nContent-Type: ${rawStream}\r\n\r\n`;
  await connection.write(Buffer.from(head));
  return connection;
}

/**
 * Joins a client's connection with an attached process until the process closes its output or the client leaves; the client's half-close closes only the
 * process's input, and a terminal's detach keys leave it open. The caller releases both; the process lives on.
 */
export async function joinStreams(
  connection: Connection | WebSocketConnection,
  attached: AttachedStreams,
  options: { tty: boolean; stdin: boolean; detachKeys: Uint8Array },
): Promise<void> {
  const detach = new AbortController();
  const input = options.tty
    ? untilDetached(connection.input, options.detachKeys, () => detach.abort())
    : connection.input;
  // A WebSocket has frames of its own, and none that tell its reader apart what a process wrote where. Its input is where it ends.
  const isWebSocket = connection instanceof WebSocketConnection;
  const output = sendOutput(connection, attached, options.tty || isWebSocket);
  const passing = options.stdin || isWebSocket ? passInput(input, attached, detach.signal) : undefined;
  await Promise.race([output, connection.closed, once(detach.signal)]);
  await attached[Symbol.asyncDispose]();
  await output;
  await connection[Symbol.asyncDispose]();
  await passing;
}

async function sendOutput(
  connection: Connection | WebSocketConnection,
  attached: AttachedStreams,
  bare: boolean,
): Promise<void> {
  try {
    for await (const chunk of attached.output) await connection.write(wireBytes(bare, chunk));
  } catch (error) {
    reportBroken('attached output', error);
  }
}

async function passInput(input: ByteSource, attached: AttachedStreams, detached: AbortSignal): Promise<void> {
  try {
    for await (const chunk of input) await attached.write(chunk);
    // Who detaches leaves the process's input open for the next one.
    if (!detached.aborted) await attached.closeInput();
  } catch (error) {
    reportBroken('attached input', error);
  }
}

function once(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** A peer or a process that went away is how these streams usually end. */
function reportBroken(what: string, error: unknown): void {
  if (isKind(error, 'canceled') || isDisconnect(error)) return;
  log.debug(`${what} ended early`, { error: messageOf(error) });
}
