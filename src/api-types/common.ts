import type { FaultPlace } from '#errdefs';
import type { WantedFiles } from './build.ts';
import type { BuildStepExplanation, BuildStepPrediction } from './build-explanation.ts';
import type { BuildWarning } from './build-warning.ts';
import type { RebuildReport } from './rebuild.ts';
/** Small shapes that several resources share. */

export type StringMap = Readonly<Record<string, string>>;
/** A Go `map[string]struct{}`: only the keys matter. */
export type StringSet = Readonly<Record<string, Readonly<Record<string, never>>>>;

/** The body of every failed call. */
export interface ErrorResponse {
  readonly message: string;
  /** Where a build failed, beside the message. */
  readonly fault?: FaultPlace;
}

/** What `X-Registry-Auth` carries, and the body of `POST /auth`. A token or a user with a password. */
export interface AuthConfig {
  readonly username?: string;
  readonly password?: string;
  /** base64 of `user:password`, as config files keep it; read when user and password are absent. */
  readonly auth?: string;
  readonly email?: string;
  readonly serveraddress?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

export interface AuthAnswer {
  readonly Status: string;
  readonly IdentityToken?: string;
}

/**
 * One line of Docker's JSON progress stream (`jsonmessage`). Structurally a superset of the transfer module's message: in-band failures are here
 * because clients read them; producers throw instead, and the API server writes `errorDetail` and `error`.
 */
export interface ProgressMessage {
  readonly stream?: string;
  readonly status?: string;
  readonly progressDetail?: {
    readonly current?: number;
    readonly total?: number;
    readonly start?: number;
    readonly hidecounts?: boolean;
    readonly units?: string;
  };
  readonly progress?: string;
  readonly id?: string;
  readonly errorDetail?: { readonly code?: number; readonly message: string };
  readonly error?: string;
  readonly aux?: unknown;
  /** Beside the `stream` that shows it: where a build failed. The error itself is the next message. */
  readonly fault?: FaultPlace;
  /** What build checks found: beside the `stream` that tells it, or alone where only they were asked for. */
  readonly warnings?: readonly BuildWarning[];
  /** Only of builds that were asked to explain themselves. */
  readonly explain?: BuildStepExplanation;
  /** Only of builds that were asked for a plan. */
  readonly plan?: BuildStepPrediction;
  /** The last message of a build that was to be compared. */
  readonly rebuild?: RebuildReport;
  /** Only of builds from a listing. */
  readonly wanted?: WantedFiles;
}

export interface DriverData {
  readonly Data: StringMap | null;
  readonly Name: string;
}

/** Kind of a changed path: 0 modified, 1 added, 2 deleted. */
export interface ChangeItem {
  readonly Path: string;
  readonly Kind: 0 | 1 | 2;
}
