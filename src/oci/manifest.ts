import { EngineError } from '#errdefs';
import { decodeDescriptor, decodeDescriptors } from './descriptor.ts';
import { type Fields, field, has, integer, invalid, parseObject, present, text, textMap } from './fields.ts';
import { isIndex, isManifest, isSchema1 } from './media-types.ts';
import type { Descriptor, Index, Manifest } from './types.ts';

/** distribution-spec v1.1 §pushing-manifests: what every registry takes, and the most we read. */
export const maxManifestBytes = 4 << 20;

/** What a name points to: one image, or an index over many. */
export type Target =
  | { readonly kind: 'manifest'; readonly mediaType: string; readonly manifest: Manifest }
  | { readonly kind: 'index'; readonly mediaType: string; readonly index: Index };

/** image-spec v1.1 manifest.md and Docker schema 2. @throws `invalid-argument`. */
export function parseManifest(bytes: Uint8Array): Manifest {
  return decodeManifest(parseObject(bytes, maxManifestBytes, 'manifest'));
}

/** image-spec v1.1 image-index.md and Docker manifest lists. @throws `invalid-argument`. */
export function parseIndex(bytes: Uint8Array): Index {
  return decodeIndex(parseObject(bytes, maxManifestBytes, 'index'));
}

/**
 * Decodes what a descriptor or a `Content-Type` said is a manifest or an index. Without a media type the document's own counts, then its shape.
 * @throws `invalid-argument`, also when document and media type differ (one document must not be read in two ways, CVE-2021-41190);
 * `not-implemented` for Docker schema 1 and unknown types.
 */
export function parseTarget(bytes: Uint8Array, mediaType?: string): Target {
  const fields = parseObject(bytes, maxManifestBytes, 'manifest');
  const own = text(fields, 'mediaType');
  const told = mediaType && !genericTypes.has(mediaType) ? mediaType : undefined;
  if (told && own && told !== own) throw invalid('manifest', `it says it is ${own}, but came as ${told}`);
  const type = told ?? own;
  if ((type && isSchema1(type)) || integer(fields, 'schemaVersion') === 1) {
    throw new EngineError('not-implemented', 'parse manifest: Docker schema 1 is not supported');
  }
  if (type ? isIndex(type) : has(fields, 'manifests')) {
    return { kind: 'index', mediaType: type ?? 'application/vnd.oci.image.index.v1+json', index: decodeIndex(fields) };
  }
  if (type && !isManifest(type)) {
    throw new EngineError('not-implemented', `parse manifest: unsupported media type ${type}`);
  }
  return {
    kind: 'manifest',
    mediaType: type ?? 'application/vnd.oci.image.manifest.v1+json',
    manifest: decodeManifest(fields),
  };
}

/** What a document refers to and is not whole without: other documents, and blobs. An index may name blobs, too: BuildKit keeps caches so. */
export function partsOf(target: Target): {
  readonly children: readonly Descriptor[];
  readonly blobs: readonly Descriptor[];
} {
  if (target.kind === 'manifest') return { children: [], blobs: [target.manifest.config, ...target.manifest.layers] };
  const isDocument = ({ mediaType }: Descriptor) => isIndex(mediaType) || isManifest(mediaType) || isSchema1(mediaType);
  const { manifests } = target.index;
  return { children: manifests.filter(isDocument), blobs: manifests.filter((entry) => !isDocument(entry)) };
}

/** Servers that do not know what they serve say one of these. */
const genericTypes: ReadonlySet<string> = new Set(['application/json', 'application/octet-stream', 'text/plain']);

function decodeManifest(fields: Fields): Manifest {
  requireVersion2(fields);
  if (has(fields, 'manifests') || has(fields, 'fsLayers')) {
    throw invalid(fields.what, 'it is a manifest and something else at once');
  }
  if (!has(fields, 'config')) throw invalid(fields.what, 'config is missing');
  return present({
    schemaVersion: 2 as const,
    mediaType: text(fields, 'mediaType'),
    artifactType: text(fields, 'artifactType'),
    config: decodeDescriptor(field(fields, 'config'), 'manifest config'),
    layers: decodeDescriptors(fields, 'layers'),
    subject: subjectOf(fields),
    annotations: textMap(fields, 'annotations'),
  });
}

function decodeIndex(fields: Fields): Index {
  requireVersion2(fields);
  if (has(fields, 'layers') || has(fields, 'config') || has(fields, 'fsLayers')) {
    throw invalid(fields.what, 'it is an index and something else at once');
  }
  return present({
    schemaVersion: 2 as const,
    mediaType: text(fields, 'mediaType'),
    artifactType: text(fields, 'artifactType'),
    manifests: decodeDescriptors(fields, 'manifests'),
    subject: subjectOf(fields),
    annotations: textMap(fields, 'annotations'),
  });
}

function subjectOf(fields: Fields) {
  return has(fields, 'subject') ? decodeDescriptor(field(fields, 'subject'), `${fields.what} subject`) : undefined;
}

function requireVersion2(fields: Fields): void {
  if (integer(fields, 'schemaVersion') !== 2) throw invalid(fields.what, 'schemaVersion is not 2');
}
