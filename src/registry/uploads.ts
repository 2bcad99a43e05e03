import type { Digest } from '#oci';
import type { ByteSource } from '#streams';
import { hasBlob } from './blobs.ts';
import { RegistryError } from './errors.ts';
import { withRetries } from './retry.ts';
import { pullScope, pushScope } from './scopes.ts';
import type { BlobPush, CallOptions, UploadMemory } from './types.ts';
import { uploadResumably } from './upload-session.ts';
import { begin, locationOf, sendStep, type UploadTarget, withDigest } from './upload-steps.ts';

type OnProgress = ((sentBytes: number) => void) | undefined;

/** A repository's mount is asked for at most this often per blob. */
const maxMounts = 4;
/** Smaller blobs are quicker sent again than asked about. */
const minResumedBytes = 4 << 20;

/** distribution-spec v1.1 §pushing-blobs: look, mount, else one PUT of the whole, or of a large one what the registry does not have. */
export async function pushBlob(
  target: UploadTarget,
  blob: { digest: Digest; sizeBytes: number; open: () => ByteSource },
  options: CallOptions & {
    mountFrom?: readonly string[];
    onMounted?: (from: string) => void;
    onProgress?: (sentBytes: number) => void;
    memory?: UploadMemory | undefined;
  },
): Promise<BlobPush> {
  const { mountFrom = [], onMounted, onProgress, memory, ...call } = options;
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
  if (blob.sizeBytes >= minResumedBytes) {
    if (session) await cancel(target, session, call);
    const { open, sizeBytes } = blob;
    await uploadResumably(target, { open, sizeBytes, digest: () => blob.digest, memory, onProgress }, call);
    return 'pushed';
  }
  await withRetries(
    async () => {
      const location = session ?? (await begin(target, call));
      session = undefined;
      await sendStep(target, call, {
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

/** Its digest is known when it has been sent. */
export async function pushStream(
  target: UploadTarget,
  open: () => ByteSource,
  finish: () => { digest: Digest; sizeBytes: number },
  options: CallOptions & { onProgress?: (sentBytes: number) => void; memory?: UploadMemory | undefined },
): Promise<void> {
  const { onProgress, memory, ...call } = options;
  await uploadResumably(target, { open, digest: () => finish().digest, memory, onProgress }, call);
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
    await sendStep(target, call, { method: 'DELETE', target: location, expect: [204, 200, 404, 405] });
  } catch (error) {
    call.signal?.throwIfAborted();
    if (!(error instanceof RegistryError)) throw error;
  }
}

async function* counted(source: ByteSource, onProgress: OnProgress): AsyncGenerator<Uint8Array> {
  let sentBytes = 0;
  for await (const chunk of source) {
    yield chunk;
    sentBytes += chunk.byteLength;
    onProgress?.(sentBytes);
  }
}
