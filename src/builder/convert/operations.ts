import type { InlineFile } from '#dockerfile';
import type { Digest, ImageConfig, RunConfig } from '#oci';

/** The line an operation came from, for explanations; nothing of it counts for a result. */
export interface Written {
  /** As printed behind `Step 1/9 : `. */
  readonly text: string;
  /** From 1. */
  readonly line: number;
  /** Variables that were put in or are seen by the command; null where one is unset. */
  readonly variables: Readonly<Record<string, string | null>>;
}

/** What a step leaves in the image's history and configuration. */
export interface Recorded {
  readonly written?: Written;
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

/** `RUN --mount=type=bind`: files of the context, a stage or an image. What is written to one that is not read-only is thrown away. */
export interface BindMount {
  readonly kind: 'bind';
  readonly from: CopyFrom;
  /** Below the root of `from`. */
  readonly source: string;
  /** Absolute. */
  readonly target: string;
  readonly readOnly: boolean;
}

/** `RUN --mount=type=cache`: a folder that outlives the build, one per ID. */
export interface CacheMount {
  readonly kind: 'cache';
  readonly id: string;
  readonly sharing: 'shared' | 'private' | 'locked';
  readonly target: string;
  readonly readOnly: boolean;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** What a new cache starts with. */
  readonly seed?: { readonly from: CopyFrom; readonly source: string };
}

export interface TmpfsMount {
  readonly kind: 'tmpfs';
  readonly target: string;
  /** 0 is no limit. */
  readonly sizeBytes: number;
}

/** `RUN --mount=type=secret`: as a file, a variable, or both. What it holds never counts for the key. */
export interface SecretOperation {
  readonly id: string;
  /** Absolute; absent where it is a variable only. */
  readonly target?: string;
  readonly env?: string;
  readonly required: boolean;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** `RUN --mount=type=ssh`: the socket of an agent. */
export interface AgentOperation {
  readonly id: string;
  readonly target: string;
  readonly required: boolean;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export type RunMountOperation = BindMount | CacheMount | TmpfsMount;

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
  readonly networkMode: string;
  /** Sorted by target, so that one inside another lies over it. */
  readonly mounts: readonly RunMountOperation[];
  /** As written. */
  readonly secrets: readonly SecretOperation[];
  readonly agents: readonly AgentOperation[];
  /** A heredoc with a shebang: put there for the command and left out of the layer. */
  readonly script?: { readonly path: string; readonly content: string };
}

export type CopyFrom =
  | { readonly kind: 'context' /** Of a further one. */; readonly name?: string }
  | { readonly kind: 'stage'; readonly stage: number }
  | { readonly kind: 'image'; readonly reference: string };

/** Where an operation reads files from, other than the state before it. */
export function sourcesOf(operation: Operation): readonly CopyFrom[] {
  if (operation.kind === 'copy') return [operation.from];
  if (operation.kind !== 'run') return [];
  return operation.mounts.flatMap((mount) => {
    if (mount.kind === 'bind') return [mount.from];
    return mount.kind === 'cache' && mount.seed ? [mount.seed.from] : [];
  });
}

export interface CopyOperation extends Recorded {
  readonly kind: 'copy';
  readonly keyword: 'COPY' | 'ADD';
  readonly from: CopyFrom;
  readonly sources: readonly string[];
  readonly inline: readonly InlineFile[];
  readonly destination: string;
  readonly workingDir: string;
  readonly chown: string;
  /** Octal or symbolic; empty keeps the sources' modes. */
  readonly chmod: string;
  /** As in a .dockerignore, matched below each folder that is copied. */
  readonly excludes: readonly string[];
  /** Sources keep their folders. */
  readonly parents: boolean;
  /** Of the one remote source: a file's digest, or how its commit begins. */
  readonly checksum?: string;
  /** Whether archives are unpacked; absent, ADD unpacks those that are not remote. */
  readonly unpack?: boolean;
  /** A git source brings its `.git`. */
  readonly keepGitDir: boolean;
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
  /** Of each operation that does something, what clients of BuildKit are shown. */
  readonly shown: readonly (string | undefined)[];
  /** Printed first: `# Executing 1 build trigger`. */
  readonly preface?: string;
}

export interface PlannedStage {
  readonly index: number;
  readonly steps: readonly PlannedStep[];
}
