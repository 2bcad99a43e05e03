import type { Digest } from '#oci';
import type { Reference } from '#reference';
import type { ByteSource } from '#streams';
import { hasBlob } from './blobs.ts';
import { RegistryError } from './errors.ts';
import type { Host } from './hosts.ts';
import { withRetries } from './retry.ts';
import { pullScope, pushScope } from './scopes.ts';
import type { Call, Session } from './session.ts';
import type { BlobPush, CallOptions, RetryOptions } from './types.ts';

/** Where blobs go, and how. */
export interface UploadTarget {
  readonly session: Session;
  readonly host: Host;
  readonly reference: Reference;
  readonly retry: RetryOptions | undefined;
}

type OnProgress = ((sentBytes: number) => void) | undefined;

/** A repository's mount is asked for at most this often per blob. */
const maxMounts = 4;

/** distribution-spec v1.1 §pushing-blobs: look, mount, else one PUT of the whole. */
export async function pushBlob(
  target: UploadTarget,
  blob: { digest: Digest; sizeBytes: number; open: () => ByteSource },
  options: CallOptions & {
    mountFrom?: readonly string[];
    onMounted?: (from: string) => void;
    onProgress?: (sentBytes: number) => void;
  },
): Promise<BlobPush> {
  const { mountFrom = [], onMounted, onProgress, ...call } = options;
  if (await hasBlob(target.session, target.host, target.reference, blob.digest, { ...call, access: 'push' }))
    return 'exists';
  let session: URL | undefined;
  for (const from of mountFrom.slice(0, maxMounts)) {
    if (session) await cancel(target, session, call);
    session = await mount(target, blob.digest, from, call);
    if (session) continue;
    onMounted?.(from);
    return 'mounted';
  }
  await withRetries(
    async () => {
      const location = session ?? (await begin(target, call));
      session = undefined;
      await send(target, call, {
        method: 'PUT',
        target: withDigest(location, blob.digest),
        headers: { 'content-type': 'application/octet-stream', 'content-length': String(blob.sizeBytes) },
        body: blob.sizeBytes === 0 ? new Uint8Array() : counted(blob.open(), onProgress),
        expect: [201, 202, 204],
      });
    },
    { retry: target.retry, signal: call.signal, onRetry: call.onRetry },
  );
  return 'pushed';
}

/** distribution-spec v1.1 §pushing-a-blob-in-chunks, as one open-ended chunk: its digest is known when it has been sent. */
export async function pushStream(
  target: UploadTarget,
  open: () => ByteSource,
  finish: () => { digest: Digest; sizeBytes: number },
  options: CallOptions & { onProgress?: (sentBytes: number) => void },
): Promise<void> {
  const { onProgress, ...call } = options;
  await withRetries(
    async () => {
      const location = await send(target, call, {
        method: 'PATCH',
        target: await begin(target, call),
        headers: { 'content-type': 'application/octet-stream' },
        body: counted(open(), onProgress),
        expect: [202, 204],
      });
      await send(target, call, {
        method: 'PUT',
        target: withDigest(location, finish().digest),
        headers: { 'content-length': '0' },
        expect: [201, 204],
      });
    },
    { retry: target.retry, signal: call.signal, onRetry: call.onRetry },
  );
}

async function begin(target: UploadTarget, call: CallOptions): Promise<URL> {
  return await send(target, call, {
    method: 'POST',
    target: `/v2/${target.reference.path}/blobs/uploads/`,
    headers: { 'content-length': '0' },
    expect: [202],
  });
}

/** `undefined` when the blob is there now, else the upload session that the registry opened instead. */
async function mount(target: UploadTarget, digest: Digest, from: string, call: CallOptions): Promise<URL | undefined> {
  const query = new URLSearchParams({ mount: digest, from });
  const answer = await target.session.call(target.host, {
    ...call,
    method: 'POST',
    target: `/v2/${target.reference.path}/blobs/uploads/?${query}`,
    scopes: [pushScope(target.reference), pullScope({ path: from })],
    headers: { 'content-length': '0' },
    expect: [201, 202],
  });
  await answer.discard();
  return answer.status === 201 ? undefined : locationOf(answer.header('location'), answer.url);
}

/** distribution-spec v1.1 §mounting-a-blob-from-another-repository, or nothing. */
export async function mountBlob(
  target: UploadTarget,
  digest: Digest,
  from: string,
  call: CallOptions,
): Promise<boolean> {
  const opened = await mount(target, digest, from, call);
  if (opened) await cancel(target, opened, call);
  return opened === undefined;
}

/** Best effort: the registry forgets sessions by itself. */
async function cancel(target: UploadTarget, location: URL, call: CallOptions): Promise<void> {
  try {
    await send(target, call, { method: 'DELETE', target: location, expect: [204, 200, 404, 405] });
  } catch (error) {
    call.signal?.throwIfAborted();
    if (!(error instanceof RegistryError)) throw error;
  }
}

/** One step of an upload; answers where the next one goes. */
async function send(
  target: UploadTarget,
  call: CallOptions,
  step: Pick<Call, 'method' | 'target' | 'headers' | 'body' | 'expect'>,
): Promise<URL> {
  const answer = await target.session.call(target.host, { ...call, ...step, scopes: [pushScope(target.reference)] });
  await answer.discard();
  return locationOf(answer.header('location'), answer.url);
}

function locationOf(location: string | undefined, base: URL): URL {
  const url = location === undefined ? base : URL.parse(location, base);
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new RegistryError('unknown', 'push blob: the registry sent no usable upload location');
  }
  return url;
}

function withDigest(location: URL, digest: Digest): URL {
  const url = new URL(location);
  url.searchParams.set('digest', digest);
  return url;
}

async function* counted(source: ByteSource, onProgress: OnProgress): AsyncGenerator<Uint8Array> {
  let sentBytes = 0;
  for await (const chunk of source) {
    yield chunk;
    sentBytes += chunk.byteLength;
    onProgress?.(sentBytes);
  }
}
