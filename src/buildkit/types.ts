import type { AuthConfig, BuildOptions, ListedContext } from '#api-types';
import type { BuildResult, OnStatus, SourceTree } from '#builder';
import type { Compression } from '#diff';
import type { Descriptor, Digest, Platform } from '#oci';
import type { ByteSource } from '#streams';
import type { Layout, LayoutWish, OnProgress } from '#transfer';

/** Where the files of a build come from. */
export type BuildSource = { readonly listed: ListedContext } | { readonly context: ByteSource };

export interface BuildWish {
  readonly source: BuildSource;
  readonly options: BuildOptions;
  readonly onStatus: OnStatus;
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
  /** As `POST /build` does, without tags. @throws what that answers */
  build(wish: BuildWish): Promise<BuildResult>;
  /** Gives an image of the store a name, which another may have had. */
  tag(image: Digest, name: string): Promise<void>;
  /** Keeps an image of the store from those who take it for dangling. */
  hold(image: Digest): Disposable;
  files(image: Digest, signal: AbortSignal): Promise<ExportedFiles>;
  layout(images: readonly Digest[], wish: LayoutWish): Promise<Layout & AsyncDisposable>;
  /** Pushes a name of the store; answers what it names there. */
  push(name: string, wish: PushWish): Promise<Descriptor>;
}
