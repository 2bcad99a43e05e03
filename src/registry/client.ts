import { EngineError, isKind } from '#errdefs';
import { log } from '#log';
import type { Reference } from '#reference';
import { getBlob, hasBlob } from './blobs.ts';
import { pullError, RegistryError } from './errors.ts';
import { HostBook } from './host-book.ts';
import type { Capability } from './host-settings.ts';
import type { Host } from './hosts.ts';
import { callHub } from './hub-calls.ts';
import { insecureHosts } from './insecure.ts';
import { login } from './login.ts';
import { deleteManifest, getManifest, putManifest, resolveManifest } from './manifests.ts';
import { listReferrers } from './referrers.ts';
import { search } from './search.ts';
import { Session } from './session.ts';
import { listRepositories, listTags } from './tags.ts';
import { Transport } from './transport.ts';
import type { RegistryClient, RegistryOptions } from './types.ts';
import { mountBlob, pushBlob, pushStream } from './uploads.ts';

/** A mirror that cannot be reached is left alone for this long: a connection may take half a minute to fail. */
const awayMs = 30_000;

/** A client over pooled connections, remembered endpoints and tokens. No I/O until the first call; dispose closes the connections. */
export function createRegistryClient(options: RegistryOptions = {}): RegistryClient {
  const { certsDir, mirrors = [], retry } = options;
  const transport = new Transport({ certsDir, userAgent: options.userAgent ?? 'wherry', stallMs: options.stallMs });
  const insecure = insecureHosts(options.insecure ?? []);
  const session = new Session({ transport, insecure, retry });
  const book = new HostBook({ insecure, mirrors, certsDir });
  const hostOf = (reference: Reference) => book.writable(reference.domain);
  const away = new Map<string, number>();
  const own = (domain: string) => book.own(domain);
  const target = async (reference: Reference) => ({ session, host: await hostOf(reference), reference, retry });

  /** Reads go to the mirrors first; whatever a mirror cannot do, the next one and the registry itself are asked for. */
  async function reading<T>(
    reference: Reference,
    capability: Exclude<Capability, 'push'>,
    signal: AbortSignal | undefined,
    read: (host: Host) => Promise<T>,
  ): Promise<T> {
    const hosts = await book.hosts(reference.domain, capability);
    for (const host of hosts.slice(0, -1)) {
      if ((away.get(host.name) ?? 0) > Date.now()) continue;
      try {
        return await read(host);
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof RegistryError && error.status === undefined) away.set(host.name, Date.now() + awayMs);
        log.info('a mirror did not answer with the image', { host: host.name, error });
      }
    }
    const last = hosts.at(-1);
    if (!last)
      throw new EngineError('failed-precondition', `no host of ${reference.domain} may be asked by its hosts.toml`);
    try {
      return await read(last);
    } catch (error) {
      throw pullError(error, reference);
    }
  }

  /** Turning a tag into a digest asks for more trust than bytes that are verified. */
  const needed = (reference: Reference) => (reference.digest ? 'pull' : 'resolve');

  return {
    manifest: (reference, call = {}) =>
      reading(reference, needed(reference), call.signal, (host) => getManifest(session, host, reference, call)),
    resolve: async (reference, call = {}) => {
      if (call.access === 'push') return await resolveManifest(session, await hostOf(reference), reference, call);
      return await reading(reference, needed(reference), call.signal, (host) =>
        resolveManifest(session, host, reference, call),
      );
    },
    blob: (reference, digest, call = {}) =>
      reading(reference, 'pull', call.signal, (host) => getBlob(session, host, reference, digest, call)),
    hasBlob: async (reference, digest, call = {}) => {
      if (call.access === 'push') return await hasBlob(session, await hostOf(reference), reference, digest, call);
      return await reading(reference, 'pull', call.signal, async (host) => {
        if (await hasBlob(session, host, reference, digest, call)) return true;
        throw new RegistryError('not-found', `${host.name} does not have ${digest}`);
      }).catch((error) => {
        if (isKind(error, 'not-found')) return false;
        throw error;
      });
    },
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
        yield* listTags(session, await own(reference.domain), reference, call);
      } catch (error) {
        throw pullError(error, reference);
      }
    },
    referrers: (reference, digest, call = {}) =>
      reading(reference, 'pull', call.signal, (host) => listReferrers(session, host, reference, digest, call)),
    async *repositories(domain, call = {}) {
      yield* listRepositories(session, await own(domain), call);
    },
    hub: async (domain, request, call = {}) => callHub(session, { host: await own(domain), retry }, request, call),
    login: (auth, call = {}) => login(session, own, auth, call.signal),
    search: (term, call = {}) => search(session, { own, retry }, term, call),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}
