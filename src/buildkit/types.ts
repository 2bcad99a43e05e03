import type { BuildOptions, ListedContext } from '#api-types';
import type { BuildResult } from '#builder';
import type { Platform } from '#oci';
import type { ByteSource } from '#streams';
import type { OnProgress } from '#transfer';

/** Where the files of a build come from. */
export type BuildSource = { readonly listed: ListedContext } | { readonly context: ByteSource };

export interface BuildWish {
  readonly source: BuildSource;
  readonly options: BuildOptions;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
}

/** What BuildKit's services need of the engine. */
export interface BuildKitHost {
  /** Tells this engine from others. */
  readonly id: string;
  readonly version: string;
  readonly platforms: readonly Platform[];
  /** Builds and tags, as `POST /build` does. @throws what that answers */
  build(wish: BuildWish): Promise<BuildResult>;
}
