import { isKind } from '#errdefs';
import { log } from '#log';
import { type Descriptor, type Digest, isDigest } from '#oci';
import { type Reference, withDigest, withTag } from '#reference';
import { createRegistryClient, type RegistryClient } from '#registry';
import { ApiError } from '../api-error.ts';
import { copiedManifest } from '../manifest-document.ts';
import type { Stores } from '../registry.ts';
import type { StoredManifest } from '../store/meta-store.ts';
import { AskedBefore } from './asked-before.ts';
import { Fill } from './fill.ts';
import { type Upstream, type UpstreamRule, upstreamOf } from './rules.ts';

/** An upstream that did not answer is not asked again for so long when there is a copy. */
const downMs = 10_000;
/** How long a client with a copy at hand waits for upstream to say whether it is still right. */
const patienceMs = 5_000;
const maxTags = 100_000;

export interface PullThroughOptions {
  readonly rules: readonly UpstreamRule[];
  readonly insecure: readonly string[];
  readonly certsDir?: string | undefined;
}

export interface FoundManifest {
  readonly manifest: StoredManifest;
  /** Upstream could not be asked whether it is still so. */
  readonly isStale: boolean;
}

/** Repositories that are copies of others elsewhere, filled as they are asked for. */
export class PullThrough implements AsyncDisposable {
  readonly #stores: Stores;
  readonly #rules: readonly UpstreamRule[];
  readonly #client: RegistryClient;
  readonly #abort = new AbortController();
  readonly #asking = new Map<string, Promise<FoundManifest | undefined>>();
  readonly #fills = new Map<Digest, Fill>();
  readonly #downUntilMs = new Map<string, number>();
  readonly #referrers = new AskedBefore<readonly Descriptor[]>();

  constructor(stores: Stores, options: PullThroughOptions) {
    this.#stores = stores;
    this.#rules = options.rules;
    this.#client = createRegistryClient({
      insecure: options.insecure,
      userAgent: 'wherry-registry',
      retry: { attempts: 3, firstDelayMs: 200, maxDelayMs: 2000 },
      ...(options.certsDir === undefined ? {} : { certsDir: options.certsDir }),
    });
  }

  upstreamOf(name: string): Upstream | undefined {
    return upstreamOf(this.#rules, name);
  }

  /** distribution-spec v1.1 §registry-proxying: a client may say what registry it thinks it speaks to. */
  localName(name: string, namespace: string | null): string | undefined {
    if (namespace === null) return undefined;
    const local = `${namespace}/${name}`;
    return this.upstreamOf(local) ? local : undefined;
  }

  /** The copy, made or looked after first where that is needed; many clients at once cost one question. */
  manifest(name: string, upstream: Upstream, reference: string): Promise<FoundManifest | undefined> {
    const key = `${name} ${reference}`;
    let asking = this.#asking.get(key);
    if (!asking) {
      const find = isDigest(reference)
        ? this.#byDigest(name, upstream, reference)
        : this.#byTag(name, upstream, reference);
      asking = find.finally(() => this.#asking.delete(key));
      this.#asking.set(key, asking);
    }
    return asking;
  }

  async #byDigest(name: string, upstream: Upstream, digest: Digest): Promise<FoundManifest | undefined> {
    const known = await this.#stores.meta.manifest(name, digest);
    if (known) return { manifest: known, isStale: false };
    try {
      return await this.#copy(name, upstream, withDigest(upstream.reference, digest), []);
    } catch (error) {
      return this.#absent(error, upstream);
    }
  }

  async #byTag(name: string, upstream: Upstream, tag: string): Promise<FoundManifest | undefined> {
    const { meta } = this.#stores;
    const stored = await meta.tag(name, tag);
    const copy = stored && (await meta.manifest(name, stored.digest));
    if (stored && copy && stored.checkedMs > Date.now() - upstream.rule.revalidateMs) {
      return { manifest: copy, isStale: false };
    }
    if (copy && (this.#downUntilMs.get(upstream.reference.domain) ?? 0) > Date.now()) {
      return { manifest: copy, isStale: true };
    }
    try {
      return await this.#ask(name, upstream, tag, copy !== undefined);
    } catch (error) {
      if (isAbsence(error)) {
        if (stored) await meta.removeTag(name, tag);
        return undefined;
      }
      this.#down(upstream, error);
      if (copy) return { manifest: copy, isStale: true };
      throw unreachable(upstream);
    }
  }

  async #ask(name: string, upstream: Upstream, tag: string, hasCopy: boolean): Promise<FoundManifest | undefined> {
    const { meta } = this.#stores;
    const wanted = withTag(upstream.reference, tag);
    const signal = hasCopy
      ? AbortSignal.any([this.#abort.signal, AbortSignal.timeout(patienceMs)])
      : this.#abort.signal;
    const { digest } = await this.#client.resolve(wanted, { signal, auth: upstream.rule.auth });
    const known = await meta.manifest(name, digest);
    if (!known) return await this.#copy(name, upstream, withDigest(upstream.reference, digest), [tag]);
    await meta.putTag(name, tag, digest);
    return { manifest: known, isStale: false };
  }

  async #copy(
    name: string,
    upstream: Upstream,
    reference: Reference,
    tags: readonly string[],
  ): Promise<FoundManifest | undefined> {
    const { meta } = this.#stores;
    const call = { signal: this.#abort.signal, auth: upstream.rule.auth };
    const { descriptor, bytes } = await this.#client.manifest(reference, call);
    const parts = { digest: descriptor.digest, tags };
    await meta.putManifest(name, copiedManifest(bytes, descriptor.mediaType, parts));
    const manifest = await meta.manifest(name, descriptor.digest);
    return manifest && { manifest, isStale: false };
  }

  /** Under way or begun now; `undefined` when the repository has it already. @throws ApiError when upstream does not. */
  async fill(name: string, upstream: Upstream, digest: Digest): Promise<Fill | undefined> {
    if (await this.#takeOver(name, digest)) return undefined;
    const running = this.#fills.get(digest);
    if (running && (await this.#mayShare(running, name, digest))) return running;
    const fill = new Fill({
      stores: this.#stores,
      name,
      digest,
      signal: this.#abort.signal,
      fetch: (offset, signal) =>
        this.#client.blob(upstream.reference, digest, { offset, signal, auth: upstream.rule.auth }),
    });
    this.#fills.set(digest, fill);
    void fill.finished.then(() => {
      if (this.#fills.get(digest) === fill) this.#fills.delete(digest);
    });
    try {
      await fill.size();
      return fill;
    } catch (error) {
      this.#absent(error, upstream);
      throw new ApiError('BLOB_UNKNOWN', 'blob unknown to registry', { detail: digest });
    }
  }

  /** Knowing the digest of a blob of another repository does not give the right to read it: this one's upstream must refer to it. */
  async #mayShare(fill: Fill, name: string, digest: Digest): Promise<boolean> {
    return fill.name === name || (await this.#stores.meta.expectedSize(name, digest)) !== undefined;
  }

  /** Another repository has the blob that a manifest of this one refers to. */
  async #takeOver(name: string, digest: Digest): Promise<boolean> {
    const { meta, locks } = this.#stores;
    using _ = await locks.acquire(digest);
    if ((await meta.blob(name, digest)) !== undefined) return true;
    if ((await meta.expectedSize(name, digest)) === undefined) return false;
    const [holder] = await meta.holders(digest);
    const sizeBytes = holder === undefined ? undefined : await meta.blob(holder, digest);
    if (sizeBytes === undefined) return false;
    await meta.linkBlob(name, { digest, sizeBytes }, 0);
    return true;
  }

  /** What upstream says there is; what is here when it cannot be asked. */
  async tags(name: string, upstream: Upstream): Promise<readonly string[]> {
    try {
      const tags: string[] = [];
      for await (const tag of this.#client.tags(upstream.reference, {
        signal: this.#abort.signal,
        auth: upstream.rule.auth,
      })) {
        if (tags.push(tag) >= maxTags) break;
      }
      return tags.sort();
    } catch (error) {
      if (isAbsence(error)) return [];
      this.#down(upstream, error);
      return await this.#stores.meta.tags(name);
    }
  }

  /** What upstream says refers to a manifest, believed for as long as a tag; those that are here when it cannot be asked. */
  referrers(name: string, upstream: Upstream, digest: Digest): Promise<readonly Descriptor[]> {
    const { reference, rule } = upstream;
    return this.#referrers.get(`${name} ${digest}`, rule.revalidateMs, async () => {
      if ((this.#downUntilMs.get(reference.domain) ?? 0) > Date.now())
        return await this.#stores.meta.referrers(name, digest);
      try {
        return await this.#client.referrers(reference, digest, { signal: this.#abort.signal, auth: rule.auth });
      } catch (error) {
        if (isAbsence(error)) return [];
        this.#down(upstream, error);
        return await this.#stores.meta.referrers(name, digest);
      }
    });
  }

  /** @throws ApiError unless upstream said that there is no such thing. */
  #absent(error: unknown, upstream: Upstream): undefined {
    if (isAbsence(error)) return undefined;
    this.#down(upstream, error);
    throw unreachable(upstream);
  }

  #down({ reference: { domain, path } }: Upstream, error: unknown): void {
    log.warn('an upstream registry does not answer', { host: domain, repository: path, error });
    this.#downUntilMs.set(domain, Date.now() + downMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await Promise.all([...this.#fills.values()].map((fill) => fill.finished));
    await this.#client[Symbol.asyncDispose]();
  }
}

/** Not there, or not for us. */
function isAbsence(error: unknown): boolean {
  return isKind(error, 'not-found') || isKind(error, 'permission-denied') || isKind(error, 'unauthenticated');
}

function unreachable({ reference: { domain } }: Upstream): ApiError {
  return new ApiError('UNKNOWN', `the upstream registry ${domain} does not answer`, {
    status: 502,
    headers: { 'Retry-After': '10' },
  });
}
