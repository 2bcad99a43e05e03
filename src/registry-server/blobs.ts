import type { Digest } from '#oci';
import { ApiError } from './api-error.ts';
import { type Exchange, isUnchanged, sendEmpty, sendStream } from './exchange.ts';
import type { Registry } from './registry.ts';
import type { ByteRange } from './store/blob-store.ts';
import type { Upstream } from './upstream/rules.ts';

/** distribution-spec v1.1 §pulling-blobs, with conditions and ranges (RFC 9110 §13, §14). */
export async function readBlob(registry: Registry, exchange: Exchange, name: string, digest: Digest): Promise<void> {
  const upstream = registry.upstreams?.upstreamOf(name);
  if (upstream && (await registry.meta.blob(name, digest)) === undefined) {
    return await readCopy(registry, upstream, exchange, name, digest);
  }
  const isHead = exchange.request.method === 'HEAD';
  // A client that asks whether a blob is there is about to refer to it.
  if (isHead) await registry.claims.expect(name, digest, Date.now() + registry.retention.askedMs);
  const sizeBytes = await registry.meta.blob(name, digest);
  if (sizeBytes === undefined) {
    if (isHead) registry.claims.settle(name, [digest]);
    throw new ApiError('BLOB_UNKNOWN', 'blob unknown to registry', { detail: digest });
  }
  const headers = blobHeaders(digest);
  if (isUnchanged(exchange, headers.ETag)) {
    exchange.response.writeHead(304, headers).end();
    return;
  }
  if (isHead) {
    sendEmpty(exchange, 200, { ...headers, 'Content-Length': sizeBytes });
    return;
  }
  if (await sendAsFile(registry, exchange, digest, sizeBytes)) return;
  await sendBlob(exchange, digest, sizeBytes, (range) => registry.blobs.open(digest, range));
}

/** Answers whether it was sent so: a large blob goes from its file to the connection without passing through here. */
async function sendAsFile(
  { blobs, files }: Registry,
  exchange: Exchange,
  digest: Digest,
  sizeBytes: number,
): Promise<boolean> {
  if (!blobs.openFile) return false;
  const answer = rangedAnswer(exchange, digest, sizeBytes);
  const range = answer.range ?? { offset: 0, length: sizeBytes };
  const open = () => blobs.openFile!(digest);
  return await files.send(exchange.response, { ...answer, range, open });
}

/** A blob that is fetched from upstream while it is sent. */
async function readCopy(
  registry: Registry,
  upstream: Upstream,
  exchange: Exchange,
  name: string,
  digest: Digest,
): Promise<void> {
  const isHead = exchange.request.method === 'HEAD';
  const expected = isHead ? await registry.meta.expectedSize(name, digest) : undefined;
  if (expected !== undefined) {
    return sendEmpty(exchange, 200, { ...blobHeaders(digest), 'Content-Length': expected });
  }
  const fill = await registry.upstreams!.fill(name, upstream, digest);
  const sizeBytes = (fill ? await fill.size() : undefined) ?? (await registry.meta.blob(name, digest));
  const headers = { ...blobHeaders(digest), ...(sizeBytes === undefined ? {} : { 'Content-Length': sizeBytes }) };
  const open = (range?: ByteRange) => (fill ? fill.read(range) : registry.blobs.open(digest, range));
  if (isHead) return sendEmpty(exchange, 200, headers);
  if (sizeBytes === undefined) return await sendStream(exchange, 200, headers, open());
  await sendBlob(exchange, digest, sizeBytes, open);
}

function blobHeaders(digest: Digest) {
  return {
    'Content-Type': 'application/octet-stream',
    'Docker-Content-Digest': digest,
    'Accept-Ranges': 'bytes',
    ETag: `"${digest}"`,
    'Cache-Control': 'max-age=31536000',
  };
}

/** The whole or the range that was asked for. */
async function sendBlob(
  exchange: Exchange,
  digest: Digest,
  sizeBytes: number,
  open: (range?: ByteRange) => AsyncIterable<Uint8Array>,
): Promise<void> {
  const { status, headers, range } = rangedAnswer(exchange, digest, sizeBytes);
  await sendStream(exchange, status, headers, open(range));
}

function rangedAnswer(exchange: Exchange, digest: Digest, sizeBytes: number) {
  const headers = blobHeaders(digest);
  const range = rangeWanted(exchange, headers.ETag, sizeBytes);
  if (!range) return { status: 200, headers: { ...headers, 'Content-Length': sizeBytes } };
  const contentRange = `bytes ${range.offset}-${range.offset + range.length - 1}/${sizeBytes}`;
  return {
    status: 206,
    headers: { ...headers, 'Content-Length': range.length, 'Content-Range': contentRange },
    range,
  };
}

/** RFC 9110 §13.1.5: with `If-Range` the range counts only of the blob that the client has the beginning of. */
function rangeWanted({ request }: Exchange, etag: string, sizeBytes: number): ByteRange | undefined {
  const condition = request.headers['if-range'];
  return condition === undefined || condition === etag ? parseRange(request.headers.range, sizeBytes) : undefined;
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
export async function deleteBlob(registry: Registry, exchange: Exchange, name: string, digest: Digest): Promise<void> {
  if (!(await registry.meta.unlinkBlob(name, digest))) {
    throw new ApiError('BLOB_UNKNOWN', 'blob unknown to registry', { detail: digest });
  }
  exchange.facts.event = { kind: 'blob-deleted', repository: name, digest };
  sendEmpty(exchange, 202, { 'Docker-Content-Digest': digest });
}
