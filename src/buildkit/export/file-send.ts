import { create, toBinary } from '@bufbuild/protobuf';
import { EngineError } from '#errdefs';
import type { PeerStream } from '#grpc';
import type { ByteSource } from '#streams';
import { BytesMessageSchema, FileSend } from '../proto/filesync_pb.ts';
import type { ClientSession } from '../session/client-session.ts';

/** gRPC in Go takes 4 MB at most. */
const messageBytes = 1 << 20;

interface SendOptions {
  /** Which of the request's exporters, from 0: a client has a place for each. */
  readonly exporter: number;
  /** What the client is told beforehand. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** The client's place for what an exporter makes. @throws `not-implemented` when it has none */
export function openFileSend(session: ClientSession, { exporter, metadata = {}, signal }: SendOptions): PeerStream {
  if (!session.serves(FileSend, 'DiffCopy')) {
    throw new EngineError('not-implemented', 'the client takes no files: its session does not serve FileSend');
  }
  const told = Object.entries(metadata).map(([name, value]) => [`exporter-md-${name}`, value]);
  const headers = { 'buildkit-attachable-exporter-id': String(exporter), ...Object.fromEntries(told) };
  return session.peer.open('/moby.filesync.v1.FileSend/DiffCopy', headers, signal);
}

/** Sends one file; resolves when the client has it whole. */
export async function sendBytes(
  session: ClientSession,
  source: ByteSource,
  { onBytes, ...options }: SendOptions & { onBytes: (bytes: number) => void },
): Promise<void> {
  using stream = openFileSend(session, options);
  const answered = drain(stream);
  answered.catch(() => {});
  for await (const chunk of source) {
    options.signal.throwIfAborted();
    for (let at = 0; at < chunk.byteLength; at += messageBytes) {
      const data = chunk.subarray(at, at + messageBytes);
      await stream.send(toBinary(BytesMessageSchema, create(BytesMessageSchema, { data })));
    }
    onBytes(chunk.byteLength);
  }
  stream.end();
  await answered;
}

/** A receiver says nothing until it is done. */
async function drain(stream: PeerStream): Promise<void> {
  for await (const _message of stream.messages());
}
