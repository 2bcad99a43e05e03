import { messageOf } from '#errdefs';
import { type Descriptor, type Digest, isForeignLayer, parseTarget, partsOf, type Target } from '#oci';
import { ApiError } from './api-error.ts';
import type { NewManifest } from './store/meta-store.ts';

/**
 * Decodes a manifest into what the store keeps of it. Layers that live elsewhere by nature are not wanted here.
 * @throws ApiError `MANIFEST_INVALID`.
 */
export function newManifest(
  bytes: Uint8Array,
  contentType: string,
  parts: { digest: Digest; tags: readonly string[] },
): NewManifest {
  const target = decode(bytes, contentType);
  const { children, blobs } = partsOf(target);
  return {
    ...parts,
    bytes,
    mediaType: target.mediaType,
    blobs: blobs.filter(({ mediaType }) => !isForeignLayer(mediaType)).map(({ digest }) => digest),
    children: children.map(({ digest }) => digest),
    subject: referrerOf(target, { digest: parts.digest, size: bytes.byteLength }),
  };
}

/** The same, of a copy whose parts are fetched when they are asked for. */
export function copiedManifest(
  bytes: Uint8Array,
  contentType: string,
  parts: { digest: Digest; tags: readonly string[] },
): NewManifest {
  const { children, blobs } = partsOf(decode(bytes, contentType));
  const expected = [...children, ...blobs];
  return { ...newManifest(bytes, contentType, parts), blobs: [], children: [], expected };
}

function decode(bytes: Uint8Array, contentType: string): Target {
  try {
    return parseTarget(bytes, contentType);
  } catch (error) {
    throw new ApiError('MANIFEST_INVALID', 'manifest invalid', { detail: messageOf(error) });
  }
}

/** distribution-spec v1.1 §listing-referrers: how the manifest is listed under its subject. */
function referrerOf(
  target: Target,
  stored: { digest: Digest; size: number },
): { digest: Digest; referrer: Descriptor } | undefined {
  const document = target.kind === 'index' ? target.index : target.manifest;
  if (!document.subject) return undefined;
  const artifactType =
    document.artifactType ?? (target.kind === 'manifest' ? target.manifest.config.mediaType : undefined);
  return {
    digest: document.subject.digest,
    referrer: {
      mediaType: target.mediaType,
      ...stored,
      ...(artifactType ? { artifactType } : {}),
      ...(document.annotations ? { annotations: document.annotations } : {}),
    },
  };
}
