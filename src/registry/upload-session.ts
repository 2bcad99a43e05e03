import type { Digest } from '#oci';
import type { ByteSource } from '#streams';
import { RegistryError } from './errors.ts';
import { withRetries } from './retry.ts';
import type { CallOptions, UploadMemory } from './types.ts';
import { begin, locationOf, sendStep, type UploadTarget, uploadScopes, withDigest } from './upload-steps.ts';

export interface ResumableUpload {
  /** The same bytes each time. */
  readonly open: () => ByteSource;
  /** Asked for when the stream that was opened last has ended. */
  readonly digest: () => Digest;
  /** When it is known before. */
  readonly sizeBytes?: number;
  readonly memory?: UploadMemory | undefined;
  readonly onProgress?: ((sentBytes: number) => void) | undefined;
}

/** Where a session stands: what the registry has of it is not sent again. */
interface Position {
  readonly location: URL;
  readonly offset: number;
}

/** What a registry answers that has lost a session, or has other bytes of it than were sent. */
const lostSession: ReadonlySet<number | undefined> = new Set([400, 404, 416]);

/** A registry may still have taken bytes of the broken connection after it was asked. */
const maxLooks = 3;

/**
 * distribution-spec v1.1 §pushing-a-blob-in-chunks: one open-ended chunk. When the connection breaks, or when an earlier process began it, the registry is
 * asked how much it has, and gets the rest; one that does not know any more gets everything.
 */
export async function uploadResumably(target: UploadTarget, upload: ResumableUpload, call: CallOptions): Promise<void> {
  const { memory } = upload;
  let known = URL.parse((await memory?.take()) ?? '') ?? undefined;
  await withRetries(
    async () => {
      for (let looks = 0; known && looks < maxLooks; looks++) {
        const resumed = await positionOf(target, known, call);
        known = resumed?.location;
        if (!resumed) break;
        try {
          await sendFrom(target, resumed, upload, call);
          return;
        } catch (error) {
          if (!(error instanceof RegistryError) || !lostSession.has(error.status)) throw error;
          if (error.status !== 416) known = undefined;
        }
      }
      const location = await begin(target, call);
      known = location;
      await memory?.keep(location.href);
      await sendFrom(target, { location, offset: 0 }, upload, call);
    },
    { retry: target.retry, signal: call.signal, onRetry: call.onRetry },
  );
  await memory?.take();
}

async function sendFrom(
  target: UploadTarget,
  from: Position,
  upload: ResumableUpload,
  call: CallOptions,
): Promise<void> {
  const { sizeBytes, open, onProgress } = upload;
  const isWhole = sizeBytes !== undefined && from.offset >= sizeBytes;
  const range = sizeBytes === undefined ? {} : { 'content-range': `${from.offset}-${sizeBytes - 1}` };
  const location = isWhole
    ? from.location
    : await sendStep(target, call, {
        method: 'PATCH',
        target: from.location,
        headers: { 'content-type': 'application/octet-stream', ...(from.offset > 0 ? range : {}) },
        body: counted(open(), from.offset, onProgress),
        expect: [202, 204],
      });
  await sendStep(target, call, {
    method: 'PUT',
    target: withDigest(location, upload.digest()),
    headers: { 'content-length': '0' },
    expect: [201, 204],
  });
}

/** distribution-spec v1.1 §pushing-a-blob-in-chunks: GET of a session answers `Range: 0-<last>`. `undefined` when the registry knows nothing of it. */
async function positionOf(target: UploadTarget, session: URL, call: CallOptions): Promise<Position | undefined> {
  try {
    const answer = await target.session.call(target.host, {
      ...call,
      method: 'GET',
      target: session,
      scopes: uploadScopes(target),
      expect: [204],
    });
    await answer.discard();
    const last = /^(?:bytes=)?0-(\d{1,15})$/.exec(answer.header('range') ?? '')?.[1];
    // An empty session is `0-0` to some, or without a range. If it was one byte after all, what is sent does not fit, and all is sent anew.
    const offset = last === undefined || last === '0' ? 0 : Number(last) + 1;
    return { location: locationOf(answer.header('location') ?? session.href, answer.url), offset };
  } catch (error) {
    call.signal?.throwIfAborted();
    if (error instanceof RegistryError && error.status !== undefined && error.status < 500 && error.status !== 429)
      return undefined;
    throw error;
  }
}

/** Without the first bytes, which the registry has. */
async function* counted(
  source: ByteSource,
  skipBytes: number,
  onProgress: ((sentBytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  let passedBytes = 0;
  for await (const chunk of source) {
    const rest = chunk.subarray(Math.min(chunk.byteLength, Math.max(0, skipBytes - passedBytes)));
    passedBytes += chunk.byteLength;
    if (rest.byteLength > 0) yield rest;
    onProgress?.(passedBytes);
  }
}
