import type { Reference } from '#reference';
import { getBlob, hasBlob } from './blobs.ts';
import { pullError } from './errors.ts';
import { type Host, hostFor, mirrorHost } from './hosts.ts';
import { insecureHosts } from './insecure.ts';
import { login } from './login.ts';
import { deleteManifest, getManifest, putManifest, resolveManifest } from './manifests.ts';
import { search } from './search.ts';
import { Session } from './session.ts';
import { listRepositories, listTags } from './tags.ts';
import { Transport } from './transport.ts';
import type { RegistryClient, RegistryOptions } from './types.ts';
import { mountBlob, pushBlob, pushStream } from './uploads.ts';

/** A client over pooled connections, remembered endpoints and tokens. No I/O until the first call; dispose closes the connections. */
export function createRegistryClient(options: RegistryOptions = {}): RegistryClient {
  const { certsDir, mirrors = [], retry } = options;
  const transport = new Transport({ certsDir, userAgent: options.userAgent ?? 'wherry' });
  const insecure = insecureHosts(options.insecure ?? []);
  const session = new Session({ transport, insecure, retry });
  const hostOf = (reference: Reference) => hostFor(reference.domain, insecure);
  const target = async (reference: Reference) => ({ session, host: await hostOf(reference), reference, retry });

  /** Reads of docker.io go to the mirrors first; whatever a mirror cannot do, the registry itself is asked for. */
  async function reading<T>(
    reference: Reference,
    signal: AbortSignal | undefined,
    read: (host: Host) => Promise<T>,
  ): Promise<T> {
    const mirrored = reference.domain === 'docker.io' ? mirrors : [];
    for (const mirror of mirrored) {
      try {
        return await read(await mirrorHost(mirror, insecure));
      } catch {
        signal?.throwIfAborted();
      }
    }
    try {
      return await read(await hostOf(reference));
    } catch (error) {
      throw pullError(error, reference);
    }
  }

  return {
    manifest: (reference, call = {}) =>
      reading(reference, call.signal, (host) => getManifest(session, host, reference, call)),
    resolve: (reference, call = {}) =>
      reading(reference, call.signal, (host) => resolveManifest(session, host, reference, call)),
    blob: (reference, digest, call = {}) =>
      reading(reference, call.signal, (host) => getBlob(session, host, reference, digest, call)),
    hasBlob: async (reference, digest, call = {}) =>
      await hasBlob(session, await hostOf(reference), reference, digest, call),
    mountBlob: async (reference, digest, from, call = {}) =>
      await mountBlob(await target(reference), digest, from, call),
    pushBlob: async (reference, blob, call = {}) => await pushBlob(await target(reference), blob, call),
    pushStream: async (reference, open, finish, call = {}) =>
      await pushStream(await target(reference), open, finish, call),
    putManifest: async (reference, manifest, call = {}) =>
      await putManifest(session, await hostOf(reference), reference, manifest, call),
    deleteManifest: async (reference, call = {}) =>
      await deleteManifest(session, await hostOf(reference), reference, call),
    async *tags(reference, call = {}) {
      try {
        yield* listTags(session, await hostOf(reference), reference, call);
      } catch (error) {
        throw pullError(error, reference);
      }
    },
    async *repositories(domain, call = {}) {
      yield* listRepositories(session, await hostFor(domain, insecure), call);
    },
    login: (auth, call = {}) => login(session, insecure, auth, call.signal),
    search: (term, call = {}) => search(session, { insecure, retry }, term, call),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}
