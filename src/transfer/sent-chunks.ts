import { type ByteSource, giveBack } from '#streams';

/** A connection that is given so much at once asks for more only when it has sent it: beyond Node's mark for sockets. */
const awaitedBytes = 64 << 10;

/**
 * Passes chunks on to a connection, and gives their memory back when the next but one is asked for: by then they have been sent. Small ones, which may still wait
 * for company, stay. The chunks must be nobody else's.
 */
export async function* givenBackWhenSent(source: ByteSource): AsyncGenerator<Uint8Array> {
  let before: Uint8Array | undefined;
  for await (const chunk of source) {
    yield chunk;
    if (before) giveBack(before);
    before = chunk.byteLength >= awaitedBytes ? chunk : undefined;
  }
}
