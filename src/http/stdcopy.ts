import { EngineError } from '#errdefs';
import type { ByteSource } from '#streams';

/**
 * Docker's stream multiplexing ("stdcopy"): an 8-byte header (stream number, three zeros, big-endian length) before each chunk. The third stream, `system`,
 * carries an error of the engine that ends the stream.
 */
export type StreamName = 'stdin' | 'stdout' | 'stderr' | 'system';

const streamNumbers = { stdin: 0, stdout: 1, stderr: 2, system: 3 } as const;
const streamNames: readonly StreamName[] = ['stdin', 'stdout', 'stderr', 'system'];
const headerBytes = 8;
/** No sender makes larger frames; a larger length means that the bytes are no frame at all. */
const maxFrameBytes = 64 << 20;

export interface Frame {
  readonly stream: StreamName;
  readonly data: Uint8Array;
}

/** One frame with its header. */
export function encodeFrame(stream: StreamName, data: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + data.byteLength);
  frame.writeUInt32BE(streamNumbers[stream] << 24, 0);
  frame.writeUInt32BE(data.byteLength, 4);
  frame.set(data, headerBytes);
  return frame;
}

/**
 * Frames of a multiplexed stream. Large frames come in pieces, as their bytes arrive, so nothing is held back.
 * @throws `data-loss` on an unknown stream number, an absurd length or an end inside a frame; a `system` frame's text as `unknown`.
 */
export async function* decodeFrames(source: ByteSource): AsyncGenerator<Frame> {
  let pending: Buffer = Buffer.alloc(0);
  let current: { stream: StreamName; leftBytes: number } | undefined;
  const system: Uint8Array[] = [];
  for await (const chunk of source) {
    let bytes =
      pending.length === 0
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
        : Buffer.concat([pending, chunk]);
    while (bytes.length > 0) {
      if (current === undefined) {
        if (bytes.length < headerBytes) break;
        current = readHeader(bytes);
        bytes = bytes.subarray(headerBytes);
      }
      const data = bytes.subarray(0, current.leftBytes);
      bytes = bytes.subarray(data.length);
      current.leftBytes -= data.length;
      if (current.stream === 'system') system.push(Buffer.from(data));
      else if (data.length > 0) yield { stream: current.stream, data };
      if (current.leftBytes > 0) continue;
      if (current.stream === 'system') throw systemError(system);
      current = undefined;
    }
    pending = bytes;
  }
  if (pending.length > 0 || current !== undefined) {
    throw new EngineError('data-loss', 'read multiplexed stream: ends inside a frame');
  }
}

function systemError(parts: readonly Uint8Array[]): EngineError {
  return new EngineError('unknown', `error from daemon in stream: ${Buffer.concat(parts).toString('utf8').trimEnd()}`);
}

function readHeader(bytes: Buffer): { stream: StreamName; leftBytes: number } {
  const stream = streamNames[bytes[0]!];
  const leftBytes = bytes.readUInt32BE(4);
  if (stream === undefined || leftBytes > maxFrameBytes) {
    throw new EngineError('data-loss', `read multiplexed stream: unrecognized input header: ${bytes[0]}`);
  }
  return { stream, leftBytes };
}
