import type { ByteSource } from '#streams';

/** Most blobs are small. */
const firstBytes = 64 << 10;

/** Joins chunks into ones of `sizeBytes` (the first and the last are shorter), in memory that threads can share without a copy. */
export async function* sharedChunks(source: ByteSource, sizeBytes: number): AsyncGenerator<Uint8Array> {
  let chunk: Buffer = Buffer.from(new SharedArrayBuffer(Math.min(firstBytes, sizeBytes)));
  let filled = 0;
  for await (const bytes of source) {
    for (let done = 0; done < bytes.byteLength; ) {
      if (filled === chunk.length) {
        chunk = Buffer.from(new SharedArrayBuffer(sizeBytes));
        filled = 0;
      }
      const count = Math.min(chunk.length - filled, bytes.byteLength - done);
      chunk.set(bytes.subarray(done, done + count), filled);
      filled += count;
      done += count;
      if (filled === chunk.length) yield chunk;
    }
  }
  if (filled > 0 && filled < chunk.length) yield chunk.subarray(0, filled);
}
