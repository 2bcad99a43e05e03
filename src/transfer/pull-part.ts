import type { ContentStore } from '#content';
import { type ErrorKind, isKind, kindOf } from '#errdefs';
import { isNoSpace } from '#files';
import type { Descriptor } from '#oci';
import type { ByteSource } from '#streams';

/** Smaller blobs are quicker fetched again than kept. */
const minKeptBytes = 1 << 20;

/** Of these another try has nothing to expect (one with a fresh login may), and a full disk wants its space back. */
const finalKinds: ReadonlySet<ErrorKind> = new Set([
  'data-loss',
  'invalid-argument',
  'not-found',
  'not-implemented',
  'out-of-range',
  'permission-denied',
]);

/** Whether what has arrived is worth keeping for another try. */
export function mayGoOn(error: unknown): boolean {
  return !finalKinds.has(kindOf(error)) && !isNoSpace(error);
}

/**
 * Runs `work` over a blob's bytes, and keeps a copy of what arrived until it succeeds: an earlier try's part comes first, then `read` from where
 * that ends. A part that turns out to be damaged is thrown away, and everything is read once more. With `retain` the copy stays, as the blob
 * that a lease has to name; `work` has to verify its digest.
 */
export async function withKeptPart<T>(
  content: Pick<ContentStore, 'partial'>,
  descriptor: Descriptor,
  options: { read: (offset: number) => ByteSource; signal: AbortSignal | undefined; retain: boolean },
  work: (source: ByteSource) => Promise<T>,
): Promise<T> {
  const { read, signal, retain } = options;
  if (!retain && descriptor.size < minKeptBytes) return await work(read(0));
  for (let isFirst = true; ; isFirst = false) {
    await using part = await content.partial(`pull ${descriptor.digest}`, { signal, isNeeded: retain });
    const isUsable = part.sizeBytes > 0 && part.sizeBytes <= descriptor.size;
    if (part.sizeBytes > 0 && !isUsable) {
      await part.remove();
      continue;
    }
    try {
      const result = await work(joined(part, read));
      if (retain) await part.adopt({ digest: descriptor.digest, sizeBytes: descriptor.size });
      else await part.remove();
      return result;
    } catch (error) {
      // Also when it was another layer of the image that has no hope.
      if (mayGoOn(error)) throw error;
      await part.remove();
      const isDamaged = isKind(error, 'data-loss') || isKind(error, 'invalid-argument');
      if (!isDamaged || !isFirst || !isUsable || signal?.aborted) throw error;
    }
  }
}

async function* joined(
  part: { sizeBytes: number; read(): ByteSource; append(chunk: Uint8Array): Promise<void> },
  read: (offset: number) => ByteSource,
): AsyncGenerator<Uint8Array> {
  if (part.sizeBytes > 0) yield* part.read();
  for await (const chunk of read(part.sizeBytes)) {
    await part.append(chunk);
    yield chunk;
  }
}
