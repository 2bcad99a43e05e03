import { type TaskGroup, withTaskGroup } from '#concurrency';
import { EngineError, isKind, messageOf } from '#errdefs';
import { type Descriptor, type DiffID, isForeignLayer, type Manifest } from '#oci';
import { fullName } from '#reference';
import { parallelRead } from '#registry';
import type { SnapshotDriver } from '#snapshots';
import { type ProgressLine, progressLine, shortID } from './progress.ts';
import type { PullCall } from './pull-documents.ts';
import { blobSource } from './pull-foreign.ts';
import { withKeptPart } from './pull-part.ts';
import { sharedLimits } from './pull-push-limits.ts';
import { attemptsOf } from './pull-source.ts';
import { retryText } from './retry-text.ts';
import type { OnProgress } from './types.ts';

interface LayerJob {
  readonly descriptor: Descriptor;
  readonly diffID: DiffID;
  readonly line: ProgressLine;
}

/**
 * Brings in what is missing, in parallel, and makes the chain mountable from the bottom up while what is above still comes.
 * Answers the sum of the uncompressed layers, bytes.
 */
export async function pullLayers(
  call: PullCall,
  { manifest, diffIDs, os }: { manifest: Manifest; diffIDs: readonly DiffID[]; os: string },
  onProgress: OnProgress,
): Promise<number> {
  const kept = retainedLayers(call, manifest, diffIDs).map(({ digest }) => digest);
  await call.lease.add(...new Set(diffIDs), ...new Set(kept));
  await withTaskGroup(
    async (group) => {
      const arrivals = await startLayers(call, group, manifest, diffIDs, onProgress);
      // Files of another system are nothing to stand a container's root on.
      const unpack = os !== '' && os !== 'linux' ? undefined : call.stores.snapshots;
      await finishInOrder({ unpack, diffIDs, signal: group.signal }, arrivals);
    },
    { signal: call.signal },
  );
  return diffIDs.reduce((sum, diffID) => sum + (call.stores.metadata.layers.get(diffID)?.sizeBytes ?? 0), 0);
}

/** The compressed forms that stay in the store beside the layers. */
export function retainedLayers(
  { stores, reference }: Pick<PullCall, 'stores' | 'reference'>,
  manifest: Manifest,
  diffIDs: readonly DiffID[],
): readonly Descriptor[] {
  if (!stores.retains?.(fullName(reference))) return [];
  return manifest.layers.filter((layer, position) => isOtherForm(layer, diffIDs[position]!));
}

/** A layer may come as it is kept anyway. */
function isOtherForm({ digest }: Descriptor, diffID: DiffID): boolean {
  return (digest as string) !== diffID;
}

interface Arrival {
  readonly job: LayerJob;
  readonly arrived: Promise<void>;
}

/** One arrival per distinct layer that is not here yet, by position. */
async function startLayers(
  call: PullCall,
  group: TaskGroup,
  manifest: Manifest,
  diffIDs: readonly DiffID[],
  onProgress: OnProgress,
): Promise<readonly (Arrival | undefined)[]> {
  const jobs: (LayerJob | undefined)[] = [];
  const seen = new Set<DiffID>();
  // Of an image that is here dockerd names no layers.
  const isKnown = call.stores.metadata.images.get(manifest.config.digest) !== undefined;
  for (const [position, descriptor] of manifest.layers.entries()) {
    const diffID = diffIDs[position]!;
    const line = progressLine(onProgress, shortID(descriptor.digest));
    const isHere = await isPresent(call, descriptor, diffID);
    if (!isHere) line.status('Pulling fs layer');
    else if (!isKnown) line.status('Already exists');
    if (isHere) await noteRepository(call, descriptor, diffID);
    jobs.push(isHere || seen.has(diffID) ? undefined : { descriptor, diffID, line });
    seen.add(diffID);
  }
  return jobs.map((job) => job && { job, arrived: group.run((signal) => pullLayer({ ...call, signal }, job)) });
}

/**
 * The repository has this blob too: a push to its registry can mount it from there, and the manifest keeps its digest. Only of a blob that was
 * once seen to be this layer; a manifest's word alone is not believed.
 */
async function noteRepository({ stores, reference }: PullCall, descriptor: Descriptor, diffID: DiffID): Promise<void> {
  const repository = fullName(reference);
  const seen = stores.metadata.layers
    .origins(diffID)
    .filter((origin) => origin.descriptor.digest === descriptor.digest);
  if (seen.length === 0 || seen.some((origin) => origin.repository === repository)) return;
  await stores.metadata.layers.addOrigin({ diffID, descriptor: plain(descriptor), repository });
}

async function isPresent(call: PullCall, descriptor: Descriptor, diffID: DiffID): Promise<boolean> {
  const { metadata, content } = call.stores;
  if (metadata.layers.get(diffID) === undefined || (await content.stat(diffID)) === undefined) return false;
  if (!isRetained(call, descriptor, diffID)) return true;
  return metadata.blobs.has(descriptor.digest) && (await content.stat(descriptor.digest)) !== undefined;
}

function isRetained({ stores, reference }: PullCall, descriptor: Descriptor, diffID: DiffID): boolean {
  return stores.retains?.(fullName(reference)) === true && isOtherForm(descriptor, diffID);
}

async function pullLayer(call: PullCall, job: LayerJob): Promise<void> {
  const { downloads, layers } = sharedLimits(call.stores);
  const waiting = setTimeout(() => job.line.status('Waiting'), waitingAfterMs);
  try {
    using _layer = await layers.acquire(job.diffID, { signal: call.signal });
    if (await isPresent(call, job.descriptor, job.diffID)) {
      await noteRepository(call, job.descriptor, job.diffID);
      job.line.status('Download complete');
      return;
    }
    using _place = await downloads.acquire({ signal: call.signal });
    clearTimeout(waiting);
    await fetchLayer(call, job);
  } finally {
    clearTimeout(waiting);
  }
}

/** Whoever has a place at once does not wait. */
const waitingAfterMs = 5;
/** For one layer, where its server is slow. */
const defaultConnections = 4;

/** Fetch, verify, inflate, hash, index, commit: one pass. Then the rows. */
async function fetchLayer(call: PullCall, { descriptor, diffID, line }: LayerJob): Promise<void> {
  const { stores, reference, signal } = call;
  const onRetry = (delayMs: number, why: Error) => line.status(retryText(delayMs, why));
  const open = await blobSource({ ...call, signal }, descriptor, onRetry);
  const read = (firstOffset: number) =>
    parallelRead(open, {
      what: `fetch blob ${descriptor.digest}`,
      // What lives elsewhere comes from servers of any kind.
      connections: isForeignLayer(descriptor.mediaType) ? 1 : (stores.maxDownloadConnections ?? defaultConnections),
      sizeBytes: descriptor.size,
      offset: firstOffset,
      signal,
      ...attemptsOf(stores),
      onRetry,
    });
  const onProgress = (readBytes: number) => {
    line.bytes('Downloading', readBytes, descriptor.size);
    if (readBytes >= descriptor.size) line.status('Verifying Checksum');
  };
  try {
    const expected = { digest: descriptor.digest, compressedBytes: descriptor.size, diffID };
    const retain = isRetained(call, descriptor, diffID);
    const layer = await withKeptPart(stores.content, descriptor, { read, signal, retain }, (source) =>
      stores.layers.ingest(source, { expected, signal, onProgress: untilWhole(onProgress, descriptor.size) }),
    );
    await stores.metadata.layers.put(
      { diffID, sizeBytes: layer.sizeBytes, createdMs: Date.now() },
      { diffID, descriptor: plain(descriptor), repository: fullName(reference) },
    );
    if (retain) await stores.metadata.blobs.put(descriptor.digest, descriptor.size);
  } catch (cause) {
    signal?.throwIfAborted();
    if (!isKind(cause, 'data-loss')) throw cause;
    throw new EngineError(
      'data-loss',
      `filesystem layer verification failed for digest ${descriptor.digest}: ${messageOf(cause)}`,
      { cause },
    );
  }
  line.status('Download complete');
}

/** Told once that all is there, and nothing after it. */
function untilWhole(onProgress: (readBytes: number) => void, sizeBytes: number): (readBytes: number) => void {
  let isWhole = false;
  return (readBytes) => {
    if (isWhole) return;
    isWhole = readBytes >= sizeBytes;
    onProgress(readBytes);
  };
}

/** What names the compressed bytes, without what one manifest says about them. */
function plain({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

async function finishInOrder(
  { unpack, diffIDs, signal }: { unpack: SnapshotDriver | undefined; diffIDs: readonly DiffID[]; signal: AbortSignal },
  arrivals: readonly (Arrival | undefined)[],
): Promise<void> {
  for (const [position, arrival] of arrivals.entries()) {
    if (!arrival) continue;
    const { job, arrived } = arrival;
    await arrived;
    job.line.bytes('Extracting', job.descriptor.size, job.descriptor.size);
    await unpack?.unpack(diffIDs.slice(0, position + 1), { signal });
    job.line.status('Pull complete');
  }
  await unpack?.unpack(diffIDs, { signal });
}
