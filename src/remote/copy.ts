import { Semaphore, withTaskGroup } from '#concurrency';
import { EngineError } from '#errdefs';
import { type Descriptor, type Digest, isForeignLayer, maxManifestBytes, type Platform } from '#oci';
import { type ChosenImage, chooseImages } from './copy-choice.ts';
import type { BlobCopy, CopySink, CopySource } from './places.ts';
import { verified } from './verified.ts';

/** One blob, or one manifest, on its way. */
export interface CopyProgress {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly state: 'copying' | BlobCopy | 'skipped';
  readonly sentBytes: number;
}

export interface CopyOptions {
  /** Left out: everything there is. One: that image alone. Several: an index over them. */
  readonly platforms?: readonly Platform[] | undefined;
  /** What a compressed archive may inflate to; without it 100 times its size, and 1 GiB at least. */
  readonly maxInflatedBytes?: number | undefined;
  readonly onProgress?: (progress: CopyProgress) => void;
  readonly signal?: AbortSignal | undefined;
}

/** What the copy is called where it went. */
export interface Copied {
  readonly top: Descriptor;
  /** A new index over a part of the original. */
  readonly isNewIndex: boolean;
}

/**
 * Copies an image, or an index with everything below it, byte for byte. Blobs are mounted where one registry has both, else streamed through and
 * verified on the way; nothing is stored here. Children arrive before what names them, the name last.
 *
 * @throws `data-loss` for bytes that are not what their digest says; `not-found` when no image fits the platforms.
 */
export async function copyImage(source: CopySource, sink: CopySink, options: CopyOptions = {}): Promise<Copied> {
  const chosen = await chooseImages(source, options.platforms);
  const jobs = await missing(sink, chosen.images);
  const places = new Semaphore(sink.parallel);
  await withTaskGroup(
    async (group) => {
      for (const descriptor of blobsOf(jobs)) {
        void group.run(async (signal) => {
          using _ = await places.acquire({ signal });
          await copyBlob(source, sink, descriptor, { ...options, signal });
        });
      }
    },
    { signal: options.signal },
  );
  for (const { descriptor, bytes } of jobs) {
    options.signal?.throwIfAborted();
    if (descriptor.digest !== chosen.top.descriptor.digest) await sink.putDocument(descriptor, bytes);
  }
  const { descriptor, bytes } = chosen.top;
  if (bytes.length > maxManifestBytes)
    throw new EngineError('invalid-argument', `copy ${descriptor.digest}: too large`);
  await sink.finish(descriptor, bytes);
  return { top: descriptor, isNewIndex: chosen.isNewIndex };
}

/** What is there with all it needs is not looked at again. */
async function missing(sink: CopySink, images: readonly ChosenImage[]): Promise<readonly ChosenImage[]> {
  const places = new Semaphore(sink.parallel);
  const found = await Promise.all(
    images.map(async (image) => {
      using _ = await places.acquire();
      return (await sink.hasImage(image.descriptor)) ? [] : [image];
    }),
  );
  return found.flat();
}

/** Each once. */
function blobsOf(images: readonly ChosenImage[]): Iterable<Descriptor> {
  return new Map(images.flatMap(({ blobs }) => blobs).map((blob) => [blob.digest, blob])).values();
}

async function copyBlob(
  source: CopySource,
  sink: CopySink,
  descriptor: Descriptor,
  { onProgress, signal }: CopyOptions,
): Promise<void> {
  const { digest, size: sizeBytes } = descriptor;
  const tell = (state: CopyProgress['state'], sentBytes: number) =>
    onProgress?.({ digest, sizeBytes, state, sentBytes });
  if (isForeignLayer(descriptor.mediaType) && descriptor.urls?.length) return tell('skipped', 0);
  const open = async function* () {
    for await (const chunk of verified(source.blob(descriptor), descriptor)) {
      signal?.throwIfAborted();
      yield chunk;
    }
  };
  const how = await sink.putBlob(descriptor, open, {
    mountFrom: source.repository,
    onProgress: (sentBytes) => tell('copying', sentBytes),
  });
  tell(how, sizeBytes);
}
