import type { AuthConfig, ProgressMessage, StringMap } from './common.ts';
import type { ContainerConfig, Ulimit } from './container-config.ts';

/** The query of `POST /build`, decoded; names as in the API. Byte counts are bytes. */
export interface BuildOptions {
  /** Path of the Dockerfile inside the context; `Dockerfile` when absent. */
  readonly dockerfile?: string;
  readonly t?: readonly string[];
  /** A null value takes the daemon's environment, which never holds one: the argument stays unset. */
  readonly buildargs?: Readonly<Record<string, string | null>>;
  readonly labels?: StringMap;
  readonly nocache?: boolean;
  /** Names of stages whose steps alone run in any case. This engine's own. */
  readonly nocachestages?: readonly string[];
  readonly pull?: boolean;
  readonly rm?: boolean;
  readonly forcerm?: boolean;
  /** Keep the container of a step that fails. This engine's own: dockerd does so unless `forcerm` is set. */
  readonly keepfailed?: boolean;
  readonly q?: boolean;
  readonly target?: string;
  readonly platform?: string;
  readonly networkmode?: string;
  readonly extrahosts?: readonly string[];
  readonly shmsize?: number;
  readonly memory?: number;
  readonly memswap?: number;
  readonly cpushares?: number;
  readonly cpuperiod?: number;
  readonly cpuquota?: number;
  readonly cpusetcpus?: string;
  readonly cpusetmems?: string;
  readonly cgroupparent?: string;
  readonly ulimits?: readonly Ulimit[];
  readonly securityopt?: readonly string[];
  readonly isolation?: string;
  readonly cachefrom?: readonly string[];
  /** A Dockerfile or context by URL in place of the body. */
  readonly remote?: string;
  readonly squash?: boolean;
  /** Also answers, by `explain` messages, what each step did and why. An extension of this engine. */
  readonly explain?: boolean;
  /** Only answers, by a message with `warnings`, what the build checks say. An extension of this engine. */
  readonly check?: boolean;
  /** Only answers, by `plan` messages, what each step would do. An extension of this engine. */
  readonly plan?: boolean;
  /** Builds without the cache, keeps nothing, and answers by a `rebuild` message how the result differs from this image. An extension of this engine. */
  readonly rebuild?: string;
  /** `X-Registry-Config`: credentials by registry host. */
  readonly auths?: Readonly<Record<string, AuthConfig>>;
}

/**
 * A context as a listing (`#context-listing`), for engines that ask for the contents they do not have. Contents come in the order they are asked for,
 * as the listing's stream of files.
 */
export interface ListedContext {
  readonly listing: Uint8Array;
  /**
   * The contents of these entries, numbered from 0, ascending. A chunk is the reader's until he asks for the next.
   * @throws EngineError when a file cannot be read as it was listed
   */
  send(
    entries: readonly number[],
    options: {
      /** A way to whoever sees the build's progress. */
      readonly report: (message: ProgressMessage) => void;
      readonly signal: AbortSignal;
    },
  ): AsyncIterable<Uint8Array>;
  /** The same context whole, for daemons that know no listings; a client needs it. */
  tar?(): AsyncIterable<Uint8Array>;
}

/** Contents that a build asks its client for: sent to `/wherry/v1/build/files/{id}`. */
export interface WantedFiles {
  readonly id: string;
  /** Numbers of entries, from and to, ascending. */
  readonly entries: readonly (readonly [number, number])[];
}

/** What runs in place of a step that failed. An extension of this engine. */
export interface BuildDebugOptions {
  /** By default the shell of its SHELL, or /bin/sh. */
  readonly command?: readonly string[];
  readonly tty?: boolean;
  readonly stdin?: boolean;
}

export interface CommitOptions {
  readonly repo?: string;
  readonly tag?: string;
  readonly comment?: string;
  readonly author?: string;
  /** True when absent. */
  readonly pause?: boolean;
  /** Dockerfile instructions applied to the new image's config. */
  readonly changes?: readonly string[];
  /** Replaces fields of the container's own config. */
  readonly config?: ContainerConfig;
}

export interface BuildCachePruned {
  readonly CachesDeleted: readonly string[] | null;
  readonly SpaceReclaimed: number;
}

export interface BuildCacheItem {
  readonly ID: string;
  readonly Parents?: readonly string[];
  readonly Type: 'internal' | 'frontend' | 'source.local' | 'source.git.checkout' | 'exec.cachemount' | 'regular';
  readonly Description: string;
  readonly InUse: boolean;
  readonly Shared: boolean;
  readonly Size: number;
  readonly CreatedAt: string;
  readonly LastUsedAt: string | null;
  readonly UsageCount: number;
}
