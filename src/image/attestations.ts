import { type Descriptor, type Digest, isAttestation, type Manifest } from '#oci';
import { indexEntries } from './entries.ts';
import type { ImageSource } from './resolve.ts';

/** Statements about one image of an index: an entry beside it, as BuildKit stores them (docs/attestations/attestation-storage.md there). */
export interface Attestation {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
}

/** All statements about one image; bills of materials of large images have a few MB. */
export const maxAttestationBytes = 64 << 20;

/** The manifest that an entry of an index speaks of; undefined for an entry that is no attestation. */
export function attestedManifest(descriptor: Descriptor): string | undefined {
  return isAttestation(descriptor) ? descriptor.annotations?.['vnd.docker.reference.digest'] : undefined;
}

/** The blobs of an attestation, each once: its config, and a statement each. */
export function attestationBlobs({ config, layers }: Manifest): readonly Descriptor[] {
  return [...new Map([config, ...layers].map((blob) => [blob.digest, blob])).values()];
}

/** The attestations of an index that are here with all their blobs, in its order. */
export async function presentAttestations(content: ImageSource, target: Descriptor): Promise<readonly Attestation[]> {
  const found: Attestation[] = [];
  for (const { descriptor, kind, manifest } of await indexEntries(content, target))
    if (kind === 'attestation' && manifest && (await areHere(content, attestationBlobs(manifest))))
      found.push({ descriptor, manifest });
  return found;
}

async function areHere(content: ImageSource, blobs: readonly { readonly digest: Digest }[]): Promise<boolean> {
  const found = await Promise.all(blobs.map(({ digest }) => content.stat(digest)));
  return found.every((blob) => blob !== undefined);
}
