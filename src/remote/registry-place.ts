import { type Reference, withDefaultTag } from '#reference';
import { parallelRead, RegistryError } from '#registry';
import type { CopySink, CopySource } from './places.ts';
import type { RemoteCall } from './types.ts';

/** Connections to one registry that push or pull blobs at the same time. */
const parallelBlobs = 4;
/** Of one large blob that is read, where its server is slow. */
const connectionsPerBlob = 4;

export async function registrySource(call: RemoteCall, named: Reference): Promise<CopySource> {
  const reference = withDefaultTag(named);
  const top = await call.registry.manifest(reference, call);
  const { domain, path } = reference;
  return {
    top: top.descriptor,
    repository: { domain, path },
    document: async ({ digest }) =>
      digest === top.descriptor.digest
        ? top.bytes
        : (await call.registry.manifest({ domain, path, digest }, call)).bytes,
    blob: ({ digest, size }) =>
      parallelRead((offset, piece) => call.registry.blob(reference, digest, { ...call, offset, ...piece }), {
        what: `fetch blob ${digest}`,
        sizeBytes: size,
        connections: connectionsPerBlob,
        signal: call.signal,
      }),
    [Symbol.asyncDispose]: async () => {},
  };
}

export function registrySink(call: RemoteCall, named: Reference): CopySink {
  const reference = named.digest ? named : withDefaultTag(named);
  const { domain, path } = reference;
  return {
    parallel: parallelBlobs,
    hasImage: async ({ digest }) => await isThere(call, { domain, path, digest }),
    putBlob: async (descriptor, open, { mountFrom, onProgress }) => {
      const isNeighbour = mountFrom?.domain === domain && mountFrom.path !== path;
      const blob = { digest: descriptor.digest, sizeBytes: descriptor.size, open };
      const how = await call.registry.pushBlob(reference, blob, {
        ...call,
        ...(isNeighbour ? { mountFrom: [mountFrom.path] } : {}),
        onProgress,
      });
      return how === 'pushed' ? 'copied' : how;
    },
    putDocument: async ({ digest, mediaType }, bytes) => {
      await call.registry.putManifest({ domain, path, digest }, { mediaType, bytes }, call);
    },
    finish: async ({ mediaType }, bytes) => {
      await call.registry.putManifest(reference, { mediaType, bytes }, call);
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

async function isThere(call: RemoteCall, reference: Reference): Promise<boolean> {
  try {
    await call.registry.resolve(reference, { ...call, access: 'push' });
    return true;
  } catch (error) {
    if (error instanceof RegistryError && (error.status === 404 || error.kind === 'not-found')) return false;
    throw error;
  }
}
