import type { Descriptor, Digest } from '#oci';
import type { Reference } from '#reference';
import type { ByteSource } from '#streams';

/** As in Docker's `X-Registry-Auth`. */
export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  readonly auth?: string;
  readonly serveraddress?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

export interface RegistryOptions {
  /** Hosts, host:port or CIDRs that may be spoken to without verified TLS or over plain HTTP; loopback always may. */
  readonly insecure?: readonly string[];
  /** Mirrors of docker.io, tried first for pulls. */
  readonly mirrors?: readonly string[];
  readonly userAgent?: string;
  /** Folder in Docker's `certs.d` form, and containerd's: `<host>/hosts.toml`. Read anew for each call. */
  readonly certsDir?: string;
  readonly retry?: RetryOptions;
  /** A body that brings nothing for so long is a broken one; a minute when left out. */
  readonly stallMs?: number;
}

/** Tries of one request that failed in passing: exponential back-off with jitter between them. */
export interface RetryOptions {
  /** The first try included. */
  readonly attempts?: number;
  readonly firstDelayMs?: number;
  readonly maxDelayMs?: number;
}

export interface ManifestAnswer {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

export interface CallOptions {
  readonly auth?: RegistryAuth | undefined;
  /** Told before each pause between tries. Whoever shows it lets a registry ask for more patience. */
  readonly onRetry?: ((delayMs: number, why: Error) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A blob's bytes. `offset` is where they begin: 0 when the server knows no ranges, whatever was asked. `sizeBytes` is of the whole blob. */
export interface BlobAnswer {
  readonly source: ByteSource;
  readonly offset: number;
  readonly sizeBytes?: number;
}

/** A call below `/wherry/registry/`, which registries of Wherry have. */
export interface HubRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly json?: unknown;
}

/** Remembers where an upload goes on, for a try of a later process. */
export interface UploadMemory {
  /** What was kept, which is forgotten: two uploads never go on with one session. */
  take(): Promise<string | undefined>;
  keep(location: string): Promise<void>;
}

/** Where a push stands with one blob. */
export type BlobPush = 'exists' | 'mounted' | 'pushed';

export interface RegistryClient extends AsyncDisposable {
  /** Reference (tag, digest) → manifest bytes, verified when a digest is known. @throws `not-found` with Docker's wording; `RegistryError`. */
  manifest(reference: Reference, options?: CallOptions): Promise<ManifestAnswer>;
  /** HEAD, falling back to GET where a server lacks it. `access: 'push'` asks where a push would go, no mirror. */
  resolve(reference: Reference, options?: CallOptions & { access?: 'pull' | 'push' }): Promise<Descriptor>;
  /**
   * Bytes from `offset`, up to `end` of a server that knows ranges; the caller verifies. Retries by itself only until the first byte; a broken stream throws
   * `unavailable`, for the caller to resume.
   */
  blob(
    reference: Reference,
    digest: Digest,
    options?: CallOptions & { offset?: number; end?: number | undefined },
  ): Promise<BlobAnswer>;
  /** `access: 'push'` asks with the rights a push goes on to need, which saves a token. */
  hasBlob(reference: Reference, digest: Digest, options?: CallOptions & { access?: 'pull' | 'push' }): Promise<boolean>;
  /** Makes the repository hold a blob that another one on the same host has. Answers whether it does now; nothing is uploaded. */
  mountBlob(reference: Reference, digest: Digest, from: string, options?: CallOptions): Promise<boolean>;
  /** Looks, then tries the mount from other repositories (paths) of the same host, else uploads. `open` may be called again for a retry. */
  pushBlob(
    reference: Reference,
    blob: { digest: Digest; sizeBytes: number; open: () => ByteSource },
    options?: CallOptions & {
      mountFrom?: readonly string[];
      /** Called with the repository the mount came from. */
      onMounted?: (from: string) => void;
      onProgress?: (sentBytes: number) => void;
      /** A large blob that broke off, in an earlier process even, goes on where the registry stands. */
      memory?: UploadMemory | undefined;
    },
  ): Promise<BlobPush>;
  /**
   * Uploads a stream whose digest is known only at its end (compression on the fly). `open` may be called again for a retry, and has to give the same bytes; `finish` answers
   * for the stream opened last, once that has ended.
   */
  pushStream(
    reference: Reference,
    open: () => ByteSource,
    finish: () => { digest: Digest; sizeBytes: number },
    options?: CallOptions & { onProgress?: (sentBytes: number) => void; memory?: UploadMemory | undefined },
  ): Promise<void>;
  putManifest(
    reference: Reference,
    manifest: { mediaType: string; bytes: Uint8Array },
    options?: CallOptions,
  ): Promise<Digest>;
  /** Deletes the tag, or the manifest when the reference has a digest. Not every registry can do the first. @throws RegistryError. */
  deleteManifest(reference: Reference, options?: CallOptions): Promise<void>;
  /** What refers to a manifest: signatures, SBOMs. Nothing where nothing does; undecided whether the manifest is there. */
  referrers(reference: Reference, digest: Digest, options?: CallOptions): Promise<readonly Descriptor[]>;
  tags(reference: Reference, options?: CallOptions): AsyncIterable<string>;
  /** What Wherry's registry can do beyond the specification; undecoded. Asked with a password, if any: never with a token. */
  hub(domain: string, request: HubRequest, options?: CallOptions): Promise<unknown>;
  /** Paths of the repositories of a registry that tells them; public registries do not. */
  repositories(domain: string, options?: CallOptions): AsyncIterable<string>;
  /** `POST /auth`: checks credentials against a registry; answers Docker's status and token. @throws RegistryError (its `status` is 401 when they are wrong) in Docker's words. */
  login(
    auth: RegistryAuth,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<{ status: string; identityToken: string }>;
  search(term: string, options?: CallOptions & { limit?: number }): Promise<readonly SearchResult[]>;
}

export interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly star_count: number;
  readonly is_official: boolean;
  readonly is_automated: boolean;
}
