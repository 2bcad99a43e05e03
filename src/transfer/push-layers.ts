import { withTaskGroup } from '#concurrency';
import { type CompressedBlob, type Compression, compressLayer } from '#diff';
import { isKind } from '#errdefs';
import { log } from '#log';
import type { Lease } from '#metadata';
import { type Descriptor, type DiffID, type Digest, isForeignLayer, mediaTypes } from '#oci';
import { fullName, parseReference, type Reference } from '#reference';
import { type RegistryAuth, RegistryError, resumable } from '#registry';
import type { ByteSource } from '#streams';
import { KeptCopy } from './kept-copy.ts';
import { type ProgressLine, progressLine, shortID } from './progress.ts';
import { sharedLimits } from './pull-push-limits.ts';
import { attemptsOf } from './pull-source.ts';
import { candidatesFor, isCompressed, type KnownBlob, type KnownLayer, wasMadeHere } from './push-candidates.ts';
import { uploadMemory } from './push-memory.ts';
import { retryText } from './retry-text.ts';
import { givenBackWhenSent } from './sent-chunks.ts';
import type { OnProgress, TransferStores } from './types.ts';

/** What a push speaks to the registry with. */
export interface PushCall {
  readonly stores: TransferStores;
  /** With the tag it goes under. */
  readonly reference: Reference;
  readonly imageID: Digest;
  readonly lease: Lease;
  readonly auth: RegistryAuth | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: OnProgress;
  /** For layers that have to be compressed; gzip when left out. */
  readonly compression?: Compression | undefined;
}

interface LayerPush extends KnownLayer {
  readonly line: ProgressLine;
}

/** Brings every layer to the repository; answers what each is there, from the bottom up. */
export async function pushLayers(call: PushCall, layers: readonly KnownLayer[]): Promise<readonly Descriptor[]> {
  const jobs = new Map<DiffID, LayerPush>();
  for (const layer of layers.toReversed()) {
    if (jobs.has(layer.diffID)) continue;
    jobs.set(layer.diffID, { ...layer, line: progressLine(call.onProgress, shortID(layer.diffID)) });
  }
  for (const { line } of jobs.values()) line.status('Preparing');
  const pushed = new Map<DiffID, Descriptor>();
  await withTaskGroup(
    async (group) => {
      for (const job of jobs.values()) {
        void group.run(async (signal) => {
          pushed.set(job.diffID, await pushLayer({ ...call, signal }, job));
        });
      }
    },
    { signal: call.signal },
  );
  return layers.map(({ diffID }) => pushed.get(diffID)!);
}

async function pushLayer(call: PushCall, job: LayerPush): Promise<Descriptor> {
  if (isForeignLayer(job.descriptor.mediaType) && job.descriptor.urls?.length) {
    job.line.status('Skipped foreign layer');
    return job.descriptor;
  }
  const waiting = setTimeout(() => job.line.status('Waiting'), waitingAfterMs);
  try {
    using _ = await sharedLimits(call.stores).uploads.acquire({ signal: call.signal });
    clearTimeout(waiting);
    const descriptor = await place(call, job);
    const repository = fullName(call.reference);
    await call.stores.metadata.layers.addOrigin({ diffID: job.diffID, descriptor, repository });
    return descriptor;
  } finally {
    clearTimeout(waiting);
  }
}

const waitingAfterMs = 5;

/** The first of these that works: it is there; mounted from a neighbour; the same compressed bytes from where they are; compressed anew. */
async function place(call: PushCall, job: LayerPush): Promise<Descriptor> {
  const known = candidatesFor(call.stores, call.reference, job).filter(
    ({ descriptor }) => isOriginalOf(job, descriptor) || isWanted(descriptor, call.compression),
  );
  for (const candidate of known) {
    if (await isThere(call, job, candidate)) return candidate.descriptor;
  }
  const [best] = known;
  return (best && (await sendOriginal(call, job, best))) ?? (await sendCompressed(call, job));
}

/** The form that the image's own manifest names stays, whatever is asked for: its digest hangs on it. */
function isOriginalOf(job: LayerPush, { digest }: Descriptor): boolean {
  return job.isOriginal && digest === job.descriptor.digest;
}

/** What was compressed at another level is the format that was asked for all the same, and need not be sent again. */
function isWanted({ mediaType }: Descriptor, compression: Compression | undefined): boolean {
  return !compression || mediaType.endsWith('zstd') === (compression.format === 'zstd');
}

async function isThere(call: PushCall, job: LayerPush, candidate: KnownBlob): Promise<boolean> {
  const { stores, reference, auth, signal } = call;
  const { digest } = candidate.descriptor;
  if (await stores.registry.hasBlob(reference, digest, { auth, signal, access: 'push', onRetry: toldBy(job.line) })) {
    job.line.status('Layer already exists');
    return true;
  }
  for (const from of candidate.mountFrom) {
    if (!(await mounts(call, candidate, from))) continue;
    job.line.status(`Mounted from ${from}`);
    return true;
  }
  return false;
}

/** A neighbour that these credentials may not read is no reason to fail. */
async function mounts(call: PushCall, { descriptor }: KnownBlob, from: string): Promise<boolean> {
  const { stores, reference, auth, signal } = call;
  try {
    return await stores.registry.mountBlob(reference, descriptor.digest, from, { auth, signal });
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof RegistryError) || error.status === undefined) throw error;
    log.debug('mounting a blob failed', { digest: descriptor.digest, from, error });
    return false;
  }
}

/** The very bytes that the manifest names, retained here or streamed through from where they came; `undefined` when they cannot be had. */
async function sendOriginal(call: PushCall, job: LayerPush, candidate: KnownBlob): Promise<Descriptor | undefined> {
  const { stores, reference, auth, signal } = call;
  const { descriptor } = candidate;
  const open = await openOriginal(call, job.diffID, candidate);
  if (!open) return undefined;
  let sourceFailure: unknown;
  const guarded = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* open();
    } catch (error) {
      sourceFailure = error;
      throw error;
    }
  };
  try {
    await stores.registry.pushBlob(
      reference,
      { digest: descriptor.digest, sizeBytes: descriptor.size, open: guarded },
      {
        auth,
        signal,
        onRetry: toldBy(job.line),
        memory: uploadMemory(call, descriptor.digest),
        onProgress: (sent) => job.line.bytes('Pushing', sent, descriptor.size),
      },
    );
  } catch (error) {
    signal?.throwIfAborted();
    if (sourceFailure === undefined) throw error;
    log.warn('the layer as it came cannot be read any more; it is compressed anew', {
      digest: descriptor.digest,
      error: sourceFailure,
    });
    return undefined;
  }
  job.line.status('Pushed');
  return descriptor;
}

async function openOriginal(
  call: PushCall,
  diffID: DiffID,
  candidate: KnownBlob,
): Promise<(() => ByteSource) | undefined> {
  const { stores, reference, auth, signal } = call;
  const { descriptor } = candidate;
  if (await stores.content.stat(descriptor.digest)) return () => stores.content.open(descriptor.digest);
  // Compressing again gives the same bytes, nearer.
  if (wasMadeHere(stores, diffID, descriptor)) return undefined;
  for (const repository of candidate.repositories) {
    const from = parseReference(repository);
    const sourceAuth = from.domain === reference.domain ? auth : undefined;
    const read = (offset: number) =>
      stores.registry.blob(from, descriptor.digest, { auth: sourceAuth, signal, offset });
    if (!(await isReadable(call, from, descriptor, sourceAuth))) continue;
    const what = `fetch blob ${descriptor.digest}`;
    return () => resumable(read, { what, sizeBytes: descriptor.size, signal, ...attemptsOf(stores) });
  }
  return undefined;
}

async function isReadable(
  call: PushCall,
  from: Reference,
  { digest }: Descriptor,
  auth: RegistryAuth | undefined,
): Promise<boolean> {
  const { stores, signal } = call;
  try {
    return await stores.registry.hasBlob(from, digest, { auth, signal });
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof RegistryError || isKind(error, 'permission-denied')) return false;
    throw error;
  }
}

/** Compresses while it sends; digest and size are known at the end. What is sent stays here where that is asked for. */
async function sendCompressed(call: PushCall, job: LayerPush): Promise<Descriptor> {
  const { stores, reference, auth, signal, compression = { format: 'gzip' } } = call;
  const { diffID, line } = job;
  const totalBytes = (await stores.content.stat(diffID))?.sizeBytes ?? 0;
  let compressed = compressLayer(stores.content.open(diffID), compression);
  await using copy = stores.retains?.(fullName(reference)) ? new KeptCopy(stores.content) : undefined;
  const open = () => {
    let readBytes = 0;
    const counted = (async function* () {
      for await (const chunk of stores.content.open(diffID)) {
        readBytes += chunk.byteLength;
        line.bytes('Pushing', readBytes, totalBytes);
        yield chunk;
      }
    })();
    compressed = compressLayer(counted, compression);
    // A copy gathers chunks before it writes them.
    return copy ? copy.of(compressed) : givenBackWhenSent(compressed);
  };
  await stores.registry.pushStream(reference, open, () => compressed.result, {
    auth,
    signal,
    onRetry: toldBy(line),
    // Compressing again gives the same bytes.
    memory: uploadMemory(call, `${diffID} ${compression.format} ${compression.level ?? 'default'}`),
  });
  line.status('Pushed');
  const { digest, sizeBytes } = compressed.result;
  if (copy) await retain(call, copy, { digest, sizeBytes });
  const mediaType = compression.format === 'zstd' ? mediaTypes.ociLayerZstd : gzipTypeOf(job.descriptor);
  const descriptor: Descriptor = { mediaType, digest, size: sizeBytes };
  await stores.metadata.layers.addOrigin({ diffID, descriptor, repository: '' });
  return descriptor;
}

/** Pauses that a registry asks for, or a broken connection makes, are shown on the layer's line. */
function toldBy(line: ProgressLine): (delayMs: number, why: Error) => void {
  return (delayMs, why) => line.status(retryText(delayMs, why));
}

async function retain({ stores, lease, imageID }: PushCall, copy: KeptCopy, blob: CompressedBlob): Promise<void> {
  await lease.add(blob.digest);
  await copy.keep(blob);
  await stores.metadata.blobs.put(blob.digest, blob.sizeBytes);
  await stores.metadata.images.keepBlobs(imageID, [blob.digest]);
}

function gzipTypeOf(descriptor: Descriptor): string {
  return !isCompressed(descriptor) || descriptor.mediaType.startsWith('application/vnd.docker.')
    ? mediaTypes.dockerLayerGzip
    : mediaTypes.ociLayerGzip;
}
