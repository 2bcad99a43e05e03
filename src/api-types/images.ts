import type { Descriptor, HealthConfig, Platform } from '#oci';
import type { DriverData, StringMap, StringSet } from './common.ts';

/** One manifest behind an image's index (`manifests=1`). */
export interface ImageManifestSummary {
  readonly ID: string;
  readonly Descriptor: Descriptor;
  readonly Available: boolean;
  readonly Size: { readonly Content: number; readonly Total: number };
  readonly Kind: 'image' | 'attestation' | 'unknown';
  readonly ImageData?: {
    readonly Platform: Platform;
    readonly Size: { readonly Unpacked: number };
    readonly Containers: readonly string[] | null;
    readonly Identity?: ImageIdentity;
  };
  readonly AttestationData?: { readonly For: string };
}

/** One row of `GET /images/json`. `Created` is seconds; -1 in `Containers` and `SharedSize` is "not computed". */
export interface ImageSummary {
  readonly Containers: number;
  readonly Created: number;
  readonly Id: string;
  readonly Labels: StringMap | null;
  readonly ParentId: string;
  readonly Descriptor?: Descriptor;
  readonly Manifests?: readonly ImageManifestSummary[];
  readonly RepoDigests: readonly string[] | null;
  readonly RepoTags: readonly string[] | null;
  readonly SharedSize: number;
  readonly Size: number;
}

/** The `Config` of an inspected image, in the order dockerd 28 writes it. */
export interface InspectedImageConfig {
  readonly ArgsEscaped?: boolean;
  readonly Cmd?: readonly string[] | null;
  readonly Entrypoint?: readonly string[] | null;
  readonly Env?: readonly string[] | null;
  readonly ExposedPorts?: StringSet;
  readonly Healthcheck?: HealthConfig;
  readonly Labels?: StringMap | null;
  readonly OnBuild?: readonly string[] | null;
  readonly Shell?: readonly string[];
  readonly StopSignal?: string;
  readonly User?: string;
  readonly Volumes?: StringSet | null;
  readonly WorkingDir?: string;
}

/** Where an image is from, as far as this engine knows by itself. */
export interface ImageIdentity {
  readonly Pull?: readonly { readonly Repository: string }[];
  readonly Build?: readonly { readonly Ref: string; readonly CreatedAt: string }[];
}

export interface ImageInspect {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly RepoDigests: readonly string[];
  readonly Parent: string;
  readonly Comment: string;
  readonly Created?: string;
  readonly DockerVersion: string;
  readonly Author: string;
  readonly Architecture: string;
  readonly Variant?: string;
  readonly Os: string;
  readonly OsVersion?: string;
  readonly Size: number;
  readonly VirtualSize?: number;
  readonly GraphDriver: DriverData;
  readonly RootFS: { readonly Type: string; readonly Layers?: readonly string[] };
  readonly Metadata: { readonly LastTagTime?: string };
  readonly Descriptor?: Descriptor;
  readonly Manifests?: readonly ImageManifestSummary[];
  readonly Identity?: ImageIdentity;
  readonly Config: InspectedImageConfig | null;
}

/** An in-toto statement about an image. */
export interface AttestationStatement {
  readonly Descriptor: Descriptor;
  readonly PredicateType: string;
  /** When it was asked for. */
  readonly Statement?: unknown;
}

export interface AttestationOptions {
  /** Of an index; left out: the engine's own. */
  readonly platform?: string;
  /** Predicate types; none is all. */
  readonly types?: readonly string[];
  /** With each statement's text. */
  readonly statement?: boolean;
}

/** `Id` is `<missing>` for layers whose image is not here. */
export interface HistoryItem {
  readonly Comment: string;
  /** Seconds since the epoch. */
  readonly Created: number;
  readonly CreatedBy: string;
  readonly Id: string;
  readonly Size: number;
  readonly Tags: readonly string[] | null;
}

export interface ImageDeleteItem {
  readonly Deleted?: string;
  readonly Untagged?: string;
}

export interface ImagesPruned {
  readonly ImagesDeleted: readonly ImageDeleteItem[] | null;
  readonly SpaceReclaimed: number;
}

export interface ImageSearchResult {
  readonly star_count: number;
  readonly is_official: boolean;
  readonly name: string;
  readonly is_automated: boolean;
  readonly description: string;
}

/** What the other side of a `save` has already. */
export interface SaveBase {
  /** Images by name, which are here as well. */
  readonly images?: readonly string[];
  /** What `digests` answered there. */
  readonly list?: string;
}

export interface DistributionInspect {
  readonly Descriptor: Descriptor;
  /** Null for an OCI manifest, of which dockerd does not tell. */
  readonly Platforms: readonly Platform[] | null;
}
