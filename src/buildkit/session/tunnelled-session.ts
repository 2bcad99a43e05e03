import { duplexPair } from 'node:stream';
import { ClientSession } from './client-session.ts';
import type { Sessions } from './sessions.ts';

interface Bytes {
  readonly data: Uint8Array;
}

const methodHeader = 'x-docker-expose-session-grpc-method';

/** `Control.Session`: a session whose connection is a stream of messages on another one. Ends when either side does. */
export async function* tunnelledSession(
  sessions: Sessions,
  incoming: AsyncIterable<Bytes>,
  headers: Headers,
): AsyncGenerator<Bytes> {
  const [near, far] = duplexPair();
  const methods = headers.get(methodHeader)?.split(', ') ?? [];
  const held = sessions.hold(new ClientSession(near, Object.fromEntries(headers), methods));
  far.on('error', () => {});
  const reading = (async () => {
    for await (const { data } of incoming) {
      if (!far.write(data)) await new Promise((resolve) => far.once('drain', resolve).once('close', resolve));
    }
  })();
  reading.catch(() => {}).finally(() => far.destroy());
  held.catch(() => {}).finally(() => far.destroy());
  try {
    for await (const data of far as AsyncIterable<Buffer>) yield { data };
  } catch {
    // Cut off: by its end, or because there is one by that name.
  } finally {
    far.destroy();
    near.destroy();
  }
  await held;
}
