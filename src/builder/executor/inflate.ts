import { gunzipSync, constants as zlib, zstdDecompressSync } from 'node:zlib';
import { decompress, sniffCompression, TarParser } from '#archive';
import { EngineError } from '#errdefs';
import type { ByteSource } from '#streams';
import { externalDecompressors } from '#transfer';

/** A tar's bytes in whatever compression Docker knows: none, gzip, zstd, bzip2, xz. May be left early. @throws EngineError `invalid-argument` */
export function inflateAny(source: ByteSource): AsyncGenerator<Uint8Array> {
  return decompress(source, { external: externalDecompressors });
}

const prefixBytes = 1 << 16;

/** Does the file begin as a tar, compressed or not? A file that is none, or an empty one, is copied as it is. */
export async function isArchive(open: () => ByteSource): Promise<boolean> {
  const prefix = await takePrefix(open());
  const compression = sniffCompression(prefix);
  if (compression === 'none') return beginsAsTar(prefix);
  if (compression === 'bzip2' || compression === 'xz') return beginsAsTar(await takePrefix(inflateAny(open())));
  try {
    const inflated =
      compression === 'gzip'
        ? gunzipSync(prefix, { finishFlush: zlib.Z_SYNC_FLUSH })
        : zstdDecompressSync(prefix, { finishFlush: zlib.ZSTD_e_flush });
    return beginsAsTar(inflated);
  } catch {
    return false;
  }
}

async function takePrefix(source: ByteSource): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of source) {
      parts.push(chunk);
      sizeBytes += chunk.length;
      if (sizeBytes >= prefixBytes) break;
    }
  } catch (error) {
    if (!(error instanceof EngineError) || error.kind !== 'invalid-argument') throw error;
  }
  return Buffer.concat(parts).subarray(0, prefixBytes);
}

function beginsAsTar(prefix: Uint8Array): boolean {
  let entries = 0;
  const parser = new TarParser({ entry: () => entries++, data: () => {} });
  try {
    parser.write(prefix);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
  }
  return entries > 0;
}
