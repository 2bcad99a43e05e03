import type { Digest } from '#oci';
import { ApiError } from './api-error.ts';
import { type Exchange, sendEmpty, sendStream } from './exchange.ts';
import type { BlobStore, ByteRange, MetaStore } from './types.ts';

export interface Stores {
  readonly blobs: BlobStore;
  readonly meta: MetaStore;
}

/** distribution-spec v1.1 §pulling-blobs, with ranges (RFC 9110 §14). */
export async function readBlob(stores: Stores, exchange: Exchange, name: string, digest: Digest): Promise<void> {
  const sizeBytes = (await stores.meta.hasBlob(name, digest)) ? await stores.blobs.stat(digest) : undefined;
  if (sizeBytes === undefined) {
    throw new ApiError('BLOB_UNKNOWN', 'blob unknown to registry', { detail: digest });
  }
  const headers = {
    'Content-Type': 'application/octet-stream',
    'Docker-Content-Digest': digest,
    'Accept-Ranges': 'bytes',
    ETag: `"${digest}"`,
    'Cache-Control': 'max-age=31536000',
  };
  if (exchange.request.method === 'HEAD') {
    sendEmpty(exchange, 200, { ...headers, 'Content-Length': sizeBytes });
    return;
  }
  const range = parseRange(exchange.request.headers.range, sizeBytes);
  if (!range) {
    await sendStream(exchange, 200, { ...headers, 'Content-Length': sizeBytes }, stores.blobs.open(digest));
    return;
  }
  const last = range.offset + range.length - 1;
  await sendStream(
    exchange,
    206,
    { ...headers, 'Content-Length': range.length, 'Content-Range': `bytes ${range.offset}-${last}/${sizeBytes}` },
    stores.blobs.open(digest, range),
  );
}

/** One range, or none: several ranges and other units get the whole. @throws ApiError 416 past the end. */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const [, first, last] = match as unknown as [string, string, string];
  const offset = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first);
  const end = first === '' || last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (offset > end) {
    throw new ApiError('RANGE_INVALID', 'invalid content range', {
      detail: header,
      headers: { 'Content-Range': `bytes */${sizeBytes}` },
    });
  }
  return { offset, length: end - offset + 1 };
}

/** Takes the blob out of the repository; its bytes stay for others that hold it. */
export async function deleteBlob(stores: Stores, exchange: Exchange, name: string, digest: Digest): Promise<void> {
  if (!(await stores.meta.unlinkBlob(name, digest))) {
    throw new ApiError('BLOB_UNKNOWN', 'blob unknown to registry', { detail: digest });
  }
  sendEmpty(exchange, 202, { 'Docker-Content-Digest': digest });
}
