import type {
  AuthConfig,
  BuildCacheItem,
  BuildCachePruned,
  BuildOptions,
  BuildWarning,
  CacheSpace,
  Filters,
} from '#api-types';
import type { BuildRequest, BuildResult, HandedOver, OnStatus, SourceTree, SyncedFolder } from '#builder';
import type { Compression } from '#diff';
import type { Descriptor, Digest, Platform } from '#oci';
import type { ByteSource } from '#streams';
import type { Layout, LayoutWish, OnProgress } from '#transfer';

/** Where the files of a build, or of one of its further contexts, come from. */
export type BuildFiles =
  | { readonly kind: 'folder'; readonly folder: SyncedFolder }
  | { readonly kind: 'tar'; readonly bytes: ByteSource }
  /** `keepsGit`: of a repository its `.git` is wanted, too. */
  | { readonly kind: 'remote'; readonly url: string; readonly keepsGit: boolean };

export interface BuildWish {
  readonly files: BuildFiles;
  readonly contexts: ReadonlyMap<string, BuildFiles | { readonly kind: 'image'; readonly reference: string }>;
  /** Where it does not come with the files. */
  readonly dockerfileText?: NonNullable<BuildRequest['dockerfileText']>;
  readonly handedOver: HandedOver;
  /** For a registry, by the name that images have it under. */
  readonly credentials: (registry: string, options: { signal: AbortSignal }) => Promise<AuthConfig | undefined>;
  readonly options: BuildOptions;
  readonly onStatus: OnStatus;
  /** Put in front of the names of vertexes, where a build is for several platforms. */
  readonly shownPlatform?: string;
  /** Told of the image while the build still holds it. */
  readonly onBuilt: (image: Digest) => void;
  readonly signal: AbortSignal;
}

/** The files of an image, until the disposal. */
export interface ExportedFiles extends AsyncDisposable {
  readonly tree: SourceTree;
}

export interface PushWish {
  readonly compression?: Compression;
  readonly auth?: AuthConfig;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
}

/** What BuildKit's services need of the engine. */
export interface BuildKitHost {
  /** Tells this engine from others. */
  readonly id: string;
  readonly version: string;
  /** Name of the storage driver. */
  readonly snapshotter: string;
  readonly platforms: readonly Platform[];
  /** What `host-gateway` stands for, where there is such an address. */
  readonly hostGateway?: string | undefined;
  /** As `POST /build` does, without tags. @throws what that answers */
  build(wish: BuildWish): Promise<BuildResult>;
  /** What the build checks say, and nothing is built. @throws as a build does for faults of the Dockerfile */
  check(wish: BuildWish): Promise<readonly BuildWarning[]>;
  /** Gives an image of the store a name, which another may have had. */
  tag(image: Digest, name: string): Promise<void>;
  /** Makes an index of images, one per platform. */
  index(images: readonly Digest[]): Promise<Descriptor>;
  /** Gives an index that was made here a name. */
  tagIndex(index: Descriptor, name: string): Promise<void>;
  /** Whether an image is wanted as such, or only what is in it: that one is not listed while it has no name. */
  wanted(image: Digest, isWanted: boolean): Promise<void>;
  /** Keeps an image of the store from those who take it for dangling. */
  hold(image: Digest): Disposable;
  /** Pushes an image under a name that it does not get here. */
  pushCache(image: Digest, name: string, wish: PushWish): Promise<Descriptor>;
  /** Pulls an image that is not here under its name, so that steps can be taken from it. */
  cacheImage(reference: string, wish: Omit<PushWish, 'compression'> & { readonly platform?: string }): Promise<void>;
  buildCache(): Promise<readonly BuildCacheItem[]>;
  pruneBuildCache(options: { all: boolean; filters?: Filters } & CacheSpace): Promise<BuildCachePruned>;
  files(image: Digest, signal: AbortSignal): Promise<ExportedFiles>;
  layout(images: readonly Digest[], wish: LayoutWish): Promise<Layout & AsyncDisposable>;
  /** Pushes a name of the store; answers what it names there. */
  push(name: string, wish: PushWish): Promise<Descriptor>;
}
