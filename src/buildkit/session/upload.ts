import { fromBinary } from '@bufbuild/protobuf';
import { EngineError } from '#errdefs';
import { BytesMessageSchema, Upload } from '../proto/upload_pb.ts';
import type { ClientSession } from './client-session.ts';

const prefix = 'http://buildkit-session/';

/** Whether a URL means something that the client itself sends: a tar from its standard input. */
export function isUpload(url: string): boolean {
  return url.startsWith(prefix);
}

/** @throws EngineError when the client has nothing by that URL */
export async function* upload(session: ClientSession, url: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (!session.serves(Upload, 'Pull')) throw new EngineError('unknown', 'the client sends no uploads');
  const { pathname, host } = new URL(url);
  using stream = session.peer.open('/moby.upload.v1.Upload/Pull', { urlpath: pathname, urlhost: host }, signal);
  stream.end();
  for await (const message of stream.messages()) {
    yield Uint8Array.from(fromBinary(BytesMessageSchema, message).data);
  }
}
