import { messageOf } from '#errdefs';
import { attestationBlobs, attestedManifest, maxAttestationBytes } from '#image';
import { log } from '#log';
import type { Descriptor, Digest, Manifest } from '#oci';
import { fetchBlob, fetchDocument, type PullCall, type PulledDocuments } from './pull-documents.ts';

/** Its manifests are counted against a limit, each as a pull. */
const counting = 'docker.io';

/**
 * What an index says about the manifest that was chosen, so that the index can be pushed whole again and its statements be read: digests to keep. An
 * image is as good without: what cannot be had is logged.
 */
export async function fetchAttestations(call: PullCall, documents: PulledDocuments): Promise<readonly Digest[]> {
  const { index, manifestDescriptor } = documents;
  if (!index || call.reference.domain === counting) return [];
  const about = index.manifests.filter((entry) => attestedManifest(entry) === manifestDescriptor.digest);
  const kept: Digest[] = [];
  for (const descriptor of about) {
    try {
      kept.push(...(await fetchOne(call, descriptor)));
    } catch (error) {
      call.signal?.throwIfAborted();
      log.warn('pulled without an attestation', { digest: descriptor.digest, error: messageOf(error) });
    }
  }
  return kept;
}

async function fetchOne(call: PullCall, descriptor: Descriptor): Promise<readonly Digest[]> {
  const { document } = await fetchDocument(call, descriptor);
  if (document.kind !== 'manifest') return [];
  const blobs = attestationBlobs(document.manifest);
  if (sizeOf(document.manifest) > maxAttestationBytes) return [];
  for (const { digest, size } of blobs) {
    await call.lease.add(digest);
    if (!(await call.stores.content.stat(digest)))
      await fetchBlob(call, { digest, sizeBytes: size, what: 'attestation' });
  }
  return [descriptor.digest, ...blobs.map(({ digest }) => digest)];
}

function sizeOf(manifest: Manifest): number {
  return attestationBlobs(manifest).reduce((sum, { size }) => sum + size, 0);
}
