import { decompress } from '#archive';
import { cleanup, withTaskGroup } from '#concurrency';
import type { Lease } from '#metadata';
import type { Digest, Platform } from '#oci';
import { familiarString, formatReference, type Reference } from '#reference';
import type { ByteSource } from '#streams';
import { externalDecompressors } from './import-compression.ts';
import { LoadArchive } from './load-archive.ts';
import { LoadDelta } from './load-delta.ts';
import { inDockersWords } from './load-errors.ts';
import { findImages, type LoadableImage, type LoadContext } from './load-images.ts';
import { LoadLayers } from './load-layers.ts';
import { holderOf } from './name-holder.ts';
import type { OnProgress, TransferredImage, TransferStores } from './types.ts';

export interface LoadOptions {
  /** Leaves out the layers' progress; what was loaded is said all the same. */
  readonly quiet?: boolean;
  /** Takes only images of these platforms; none is all. */
  readonly platforms?: readonly Platform[];
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal | undefined;
}

type Stores = Pick<TransferStores, 'content' | 'metadata' | 'layers' | 'snapshots' | 'platform' | 'retains'>;

/**
 * `docker load`: lease → read (once, front to back: layers are ingested as they pass, documents held) → find the images → unpack → record →
 * release. Takes `docker save` archives of every age and OCI layouts; plain, gzip, zstd, xz or bzip2.
 *
 * The source may lend its chunks, each until the next is asked for.
 *
 * Either every image of the archive is recorded, or none and nothing is left behind.
 * @throws `invalid-argument` for what is no such archive, `data-loss` for bytes that are not what their digest says.
 */
export async function loadImages(
  stores: Stores,
  source: ByteSource,
  options: LoadOptions = {},
): Promise<readonly TransferredImage[]> {
  const lease = await stores.metadata.lease();
  let delta: LoadDelta | undefined;
  try {
    const context = await readArchive(stores, lease, source, { ...options, onDelta: (made) => (delta = made) });
    const images = (await findImages(context)).map((image) => withRetained(image, context.layers));
    for (const { description } of images) {
      await lease.add(...description.references);
      if (description.platform.os === stores.platform.os)
        await stores.snapshots.unpack(description.diffIDs, { signal: options.signal });
    }
    options.signal?.throwIfAborted();
    const recorded: TransferredImage[] = [];
    for (const image of images) recorded.push(await record(stores, image, options.onProgress));
    await delta?.succeeded();
    return merged(recorded);
  } catch (error) {
    throw (await delta?.failed(error)) ?? inDockersWords(error);
  } finally {
    // What no image took, be it after a failure or because the archive held more than it listed.
    await delta?.[Symbol.asyncDispose]();
    await lease[Symbol.asyncDispose]();
    await cleanup('load', () => stores.metadata.collect());
  }
}

async function readArchive(
  stores: Stores,
  lease: Lease,
  source: ByteSource,
  options: LoadOptions & { readonly onDelta: (delta: LoadDelta) => void },
): Promise<LoadContext> {
  return withTaskGroup(
    async (group) => {
      const running: Promise<void>[] = [];
      const layers = new LoadLayers({
        metadata: stores.metadata,
        content: stores.content,
        ingester: stores.layers,
        lease,
        retain: stores.retains?.(undefined) ?? false,
        onProgress: options.quiet ? undefined : options.onProgress,
        signal: group.signal,
        run: (work) => {
          const done = group.run(work);
          running.push(done);
          return done;
        },
      });
      const delta = new LoadDelta({ stores, lease, layers });
      options.onDelta(delta);
      const plain = decompress(stopping(source, group.signal), {
        external: externalDecompressors,
        lent: true,
      });
      try {
        const archive = await LoadArchive.read(plain, { layer: layers.take, delta });
        delta.requireWhole(archive);
        return { stores, lease, archive, layers, platforms: options.platforms ?? [] };
      } catch (error) {
        // Layers that came whole are finished: another try may go on from them. The one that did not is the last.
        const whole = delta.isMidLayer ? running.slice(0, -1) : running;
        if (delta.mayGoOn(error)) await Promise.allSettled(whole);
        throw error;
      }
    },
    { signal: options.signal },
  );
}

/** Compressed forms that stay are kept by the images that they came for. */
function withRetained(image: LoadableImage, layers: LoadLayers): LoadableImage {
  const { description } = image;
  const references = [...new Set([...description.references, ...layers.retained(description.diffIDs)])];
  return { ...image, description: { ...description, references } };
}

/** Ends the reading when a layer has failed. */
async function* stopping(source: ByteSource, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    signal.throwIfAborted();
    yield chunk;
  }
}

async function record(
  stores: Stores,
  { description, references, isBehind }: LoadableImage,
  onProgress: OnProgress | undefined,
): Promise<TransferredImage> {
  const say = (line: string) => onProgress?.({ stream: `${line}\n` });
  for (const reference of references) sayRenamed(stores, description.id, reference, say);
  const names = references.map(formatReference);
  const keep = stores.metadata.journal.keeping('load', references.map(familiarString).join(' '));
  await stores.metadata.images.put(description, names, [], { keep, holder: holderOf(stores, description) });
  for (const reference of references) say(`Loaded image: ${familiarString(reference)}`);
  if (references.length === 0 && !isBehind) say(`Loaded image ID: ${description.id}`);
  return { id: description.id, names };
}

function sayRenamed(stores: Stores, id: Digest, reference: Reference, say: (line: string) => void): void {
  const holder = stores.metadata.images.byName(formatReference(reference));
  if (holder === undefined || holder.id === id) return;
  const name = familiarString(reference);
  say(`The image ${name} already exists, renaming the old one with ID ${holder.id} to empty string`);
}

/** A layout lists an image once per name. */
function merged(images: readonly TransferredImage[]): readonly TransferredImage[] {
  const names = new Map<Digest, string[]>();
  for (const image of images) names.set(image.id, [...(names.get(image.id) ?? []), ...image.names]);
  return [...names].map(([id, all]) => ({ id, names: [...new Set(all)] }));
}
