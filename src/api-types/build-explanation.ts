/** What a step of a build did, and when it ran, why no earlier result would do. Times and sizes are not part of it: they never count. */
export interface BuildStepExplanation {
  /** From 1, as printed behind `Step`. */
  readonly step: number;
  /** The line as written. */
  readonly text: string;
  /** In the Dockerfile, from 1. */
  readonly line: number;
  readonly outcome: 'cached' | 'run';
  /** The diffID of the layer that the step left in the image. */
  readonly layer?: string;
  /** Of a step that ran: what differs from the nearest earlier one. Empty for a cached step. */
  readonly causes: readonly BuildCause[];
  /** Milliseconds that a step took which ran, without the wait for a place; of a RUN, also those between its command's start and end. */
  readonly tookMs?: number;
  readonly commandMs?: number;
}

export type BuildCause =
  /** The build was told to use no cache. */
  | { readonly kind: 'no-cache' }
  /** Nothing like it was built here before. */
  | { readonly kind: 'new' }
  /** It was built before, and its record was pruned. */
  | { readonly kind: 'pruned' }
  /** It was built before, and its image was removed. */
  | { readonly kind: 'image-removed' }
  /** The image that the stage starts from. */
  | { readonly kind: 'base'; readonly before: string; readonly after: string }
  /** The step before it left another result. */
  | { readonly kind: 'step-before'; readonly step: number }
  | { readonly kind: 'platform'; readonly before: string; readonly after: string }
  | { readonly kind: 'instruction'; readonly before: string; readonly after: string }
  /** Of ARG, ENV or the predefined ones; null is unset. */
  | { readonly kind: 'variable'; readonly name: string; readonly before: string | null; readonly after: string | null }
  | BuildFileCause
  /** More files than are named, or than were remembered. */
  | { readonly kind: 'files' }
  /** Anything else that the step depends on: a network mode, a mount. */
  | { readonly kind: 'setting'; readonly name: string };

export interface BuildFileCause {
  readonly kind: 'file';
  readonly change: 'added' | 'removed' | 'renamed' | 'content' | 'mode' | 'owner' | 'type' | 'target';
  /** In the context, or in the stage or image that was copied from. */
  readonly path: string;
  /** Mode, owner, type, target or name. */
  readonly before?: string;
  readonly after?: string;
  /** The pattern of .dockerignore that hides a removed file now. */
  readonly ignoredBy?: string;
}

/** What a step of a build would do. */
export interface BuildStepPrediction {
  readonly step: number;
  readonly text: string;
  readonly line: number;
  readonly outcome: 'cached' | 'run';
  /** Of a step that would run, as it was the last time; absent where nothing like it is known. */
  readonly expectedMs?: number;
  readonly expectedBytes?: number;
  /** `os/architecture[/variant]` */
  readonly platform: string;
  /** Its command is of another architecture than the machine. */
  readonly emulated: boolean;
}
