import type { AuthConfig, StringMap } from './common.ts';
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
  readonly pull?: boolean;
  readonly rm?: boolean;
  readonly forcerm?: boolean;
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
  /** `X-Registry-Config`: credentials by registry host. */
  readonly auths?: Readonly<Record<string, AuthConfig>>;
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
