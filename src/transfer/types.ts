import type { BuildStepExplanation, BuildWarning } from '#api-types';
import type { ContentStore } from '#content';
import type { LayerIngester } from '#diff';
import type { FaultPlace } from '#errdefs';
import type { Metadata } from '#metadata';
import type { Digest, Platform } from '#oci';
import type { RegistryClient } from '#registry';
import type { SnapshotDriver } from '#snapshots';

/** What every transfer needs; the engine owns it. */
export interface TransferStores {
  readonly content: ContentStore;
  readonly metadata: Metadata;
  readonly layers: LayerIngester;
  readonly snapshots: SnapshotDriver;
  readonly registry: RegistryClient;
  /** The platform chosen when a client names none. */
  readonly platform: Platform;
  readonly maxDownloadAttempts?: number;
  readonly maxConcurrentDownloads: number;
  /** That a large layer may come over at once; four when left out. */
  readonly maxDownloadConnections?: number;
  readonly maxConcurrentUploads: number;
  /** Whether compressed forms of layers are kept, of this repository (`host/path`) or, without one, of archives. Never when absent. */
  readonly retains?: ((repository: string | undefined) => boolean) | undefined;
}

/**
 * One line of Docker's JSON progress stream (`jsonmessage`): `{"status":"Downloading","id":"…","progressDetail":{current,total},"progress":"[==>  ]"}`,
 * `{"stream":"…"}`, `{"aux":…}`; errors are thrown, and the API writes them in-band.
 */
export interface ProgressMessage {
  readonly status?: string;
  readonly id?: string;
  readonly progressDetail?: {
    readonly current?: number;
    readonly total?: number;
    readonly hidecounts?: boolean;
    readonly units?: string;
  };
  readonly progress?: string;
  readonly stream?: string;
  readonly aux?: unknown;
  readonly fault?: FaultPlace;
  readonly warnings?: readonly BuildWarning[];
  readonly explain?: BuildStepExplanation;
}

export type OnProgress = (message: ProgressMessage) => void;

/** What a transfer made known: for events and answers. */
export interface TransferredImage {
  readonly id: Digest;
  readonly names: readonly string[];
}
