import { EngineError } from '#errdefs';
import { type Descriptor, isForeignLayer } from '#oci';
import type { BlobAnswer, OpenRange } from '#registry';
import { download } from './download.ts';
import type { PullCall } from './pull-documents.ts';

/** image-spec v1.1 descriptor.md §urls; more than a few are nobody's. */
const maxUrls = 8;

/**
 * Where a layer's bytes come from. One that lives elsewhere (a Windows base layer: `urls`) comes from its repository when that has it, else from those
 * places, without credentials. Its digest is checked as any layer's.
 */
export async function blobSource(
  { stores, reference, auth, signal }: PullCall,
  descriptor: Descriptor,
  onRetry: (delayMs: number, why: Error) => void,
): Promise<OpenRange> {
  const { digest, mediaType, urls = [] } = descriptor;
  const fromRepository: OpenRange = (offset, piece) =>
    stores.registry.blob(reference, digest, { auth, signal, offset, onRetry, ...piece });
  if (!isForeignLayer(mediaType) || urls.length === 0) return fromRepository;
  if (await stores.registry.hasBlob(reference, digest, { auth, signal })) return fromRepository;
  return async () => ({ source: await firstThatAnswers(descriptor, urls.slice(0, maxUrls), signal), offset: 0 });
}

async function firstThatAnswers(
  { digest }: Descriptor,
  urls: readonly string[],
  signal: AbortSignal | undefined,
): Promise<BlobAnswer['source']> {
  let failure: unknown = new EngineError('not-found', `fetch layer ${digest}: none of its URLs is of the web`);
  for (const url of urls) {
    if (!/^https?:$/.test(URL.parse(url)?.protocol ?? '')) continue;
    try {
      return (await download(url, { signal: signal ?? new AbortController().signal })).body;
    } catch (error) {
      signal?.throwIfAborted();
      failure = error;
    }
  }
  throw failure;
}
