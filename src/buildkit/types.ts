import type { BuildOptions, ListedContext } from '#api-types';
import type { BuildResult, OnStatus } from '#builder';
import type { Digest, Platform } from '#oci';
import type { ByteSource } from '#streams';

/** Where the files of a build come from. */
export type BuildSource = { readonly listed: ListedContext } | { readonly context: ByteSource };

export interface BuildWish {
  readonly source: BuildSource;
  readonly options: BuildOptions;
  readonly onStatus: OnStatus;
  readonly signal: AbortSignal;
}

/** What BuildKit's services need of the engine. */
export interface BuildKitHost {
  /** Tells this engine from others. */
  readonly id: string;
  readonly version: string;
  readonly platforms: readonly Platform[];
  /** As `POST /build` does, without tags. @throws what that answers */
  build(wish: BuildWish): Promise<BuildResult>;
  /** Gives an image of the store a name, which another may have had. */
  tag(image: Digest, name: string): Promise<void>;
}
