import type { InlineFile } from '#dockerfile';
import type { Digest, ImageConfig, RunConfig } from '#oci';

/** What a step leaves in the image's history and configuration. */
export interface Recorded {
  /** The configuration after the step. */
  readonly config: RunConfig;
  readonly author: string;
}

export interface ScratchOperation {
  readonly kind: 'scratch';
  readonly config: RunConfig;
}

/** The start of a stage: an image of the store, with the configuration the stage goes on with. */
export interface ImageOperation {
  readonly kind: 'image';
  readonly id: Digest;
  readonly image: ImageConfig;
  readonly config: RunConfig;
}

/** The start of a stage: another stage's result. */
export interface StageOperation {
  readonly kind: 'stage';
  readonly stage: number;
  readonly config: RunConfig;
}

/** Changes the configuration only. */
export interface ConfigOperation extends Recorded {
  readonly kind: 'config';
  readonly createdBy: string;
  readonly note?: string;
}

export interface WorkdirOperation extends Recorded {
  readonly kind: 'workdir';
  readonly path: string;
  readonly createdBy: string;
}

export interface RunOperation extends Recorded {
  readonly kind: 'run';
  readonly args: readonly string[];
  /** As the error message shows it. */
  readonly shownCommand: string;
  readonly createdBy: string;
  /** Of the image and of build arguments. */
  readonly env: readonly string[];
  readonly user: string;
  readonly cwd: string;
  readonly volumes: readonly string[];
  readonly networkMode: 'default' | 'none' | 'host';
  /** A heredoc with a shebang: put there for the command and left out of the layer. */
  readonly script?: { readonly path: string; readonly content: string };
}

export type CopyFrom =
  | { readonly kind: 'context' }
  | { readonly kind: 'stage'; readonly stage: number }
  | { readonly kind: 'image'; readonly reference: string };

export interface CopyOperation extends Recorded {
  readonly kind: 'copy';
  readonly keyword: 'COPY' | 'ADD';
  readonly from: CopyFrom;
  readonly sources: readonly string[];
  readonly inline: readonly InlineFile[];
  readonly destination: string;
  readonly workingDir: string;
  readonly chown: string;
  /** Octal; empty keeps the sources' modes. */
  readonly chmod: string;
  /** In front of `#(nop)` in history. */
  readonly shell: readonly string[];
}

/** One step of a build, with everything that can be known before anything runs. */
export type Operation =
  | ScratchOperation
  | ImageOperation
  | StageOperation
  | ConfigOperation
  | WorkdirOperation
  | RunOperation
  | CopyOperation;

/** A line of the Dockerfile and what it becomes; FROM may bring triggers along. */
export interface PlannedStep {
  /** From 1, over the whole file. */
  readonly number: number;
  /** As printed behind `Step 1/9 : `. */
  readonly text: string;
  readonly operations: readonly Operation[];
  /** Printed first: `# Executing 1 build trigger`. */
  readonly preface?: string;
}

export interface PlannedStage {
  readonly index: number;
  readonly steps: readonly PlannedStep[];
}
