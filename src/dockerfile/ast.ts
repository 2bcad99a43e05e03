import type { Directives, ReadWarning } from './lines.ts';
import type { SourceRange } from './location.ts';
import type { NameValue } from './statements.ts';

/** What every instruction carries. */
interface Placed {
  /** The keyword as written. */
  readonly keyword: string;
  /** The logical line: continuations joined, without heredoc bodies. */
  readonly source: string;
  readonly range: SourceRange;
}

/** A file written into the Dockerfile itself. */
export interface InlineFile {
  readonly name: string;
  /** As written; `inlineText` is what it means. */
  readonly content: string;
  /** Leading tabs are not meant (`<<-`). */
  readonly chomp: boolean;
  /** Variables in the content are still to be expanded. */
  readonly expand: boolean;
}

export interface FileSources {
  readonly sources: readonly string[];
  readonly inline: readonly InlineFile[];
  readonly destination: string;
  readonly chown: string;
  readonly chmod: string;
  readonly link: boolean;
  readonly excludes: readonly string[];
}

/** Shell form: one string for the shell. Exec form: the arguments. */
export interface CommandLine {
  readonly args: readonly string[];
  readonly shellForm: boolean;
  readonly inline: readonly InlineFile[];
}

/** HEALTHCHECK as it stands in an image's configuration; times in nanoseconds, 0 is unset. */
export interface HealthcheckSettings {
  readonly test: readonly string[];
  readonly intervalNs: number;
  readonly timeoutNs: number;
  readonly startPeriodNs: number;
  readonly startIntervalNs: number;
  readonly retries: number;
}

export interface ArgDefinition {
  readonly name: string;
  readonly value?: string;
  /** From a comment right above: `# NAME what it is for`. */
  readonly comment?: string;
}

export interface EnvInstruction extends Placed {
  readonly kind: 'env';
  readonly pairs: readonly NameValue[];
}
export interface LabelInstruction extends Placed {
  readonly kind: 'label';
  readonly pairs: readonly NameValue[];
  /** Given with `--label`: not expanded. */
  readonly literal?: boolean;
}
export interface MaintainerInstruction extends Placed {
  readonly kind: 'maintainer';
  readonly maintainer: string;
}
export interface AddInstruction extends Placed, FileSources {
  readonly kind: 'add';
  readonly keepGitDir?: boolean;
  readonly unpack?: boolean;
  readonly checksum: string;
}
export interface CopyInstruction extends Placed, FileSources {
  readonly kind: 'copy';
  readonly from: string;
  readonly parents: boolean;
}
export interface OnbuildInstruction extends Placed {
  readonly kind: 'onbuild';
  /** The trigger's text, heredoc bodies included. */
  readonly expression: string;
}
export interface WorkdirInstruction extends Placed {
  readonly kind: 'workdir';
  readonly path: string;
}
export interface RunInstruction extends Placed {
  readonly kind: 'run';
  readonly command: CommandLine;
  /** As written; `parseMount` reads one once variables are known. */
  readonly mounts: readonly string[];
  readonly network: 'default' | 'none' | 'host';
  readonly security: 'sandbox' | 'insecure';
  readonly devices: readonly string[];
  /** Names of the flags given. */
  readonly flags: readonly string[];
}
export interface CmdInstruction extends Placed {
  readonly kind: 'cmd';
  readonly command: CommandLine;
}
export interface EntrypointInstruction extends Placed {
  readonly kind: 'entrypoint';
  readonly command: CommandLine;
}
export interface HealthcheckInstruction extends Placed {
  readonly kind: 'healthcheck';
  readonly settings: HealthcheckSettings;
}
export interface ExposeInstruction extends Placed {
  readonly kind: 'expose';
  /** Sorted, as Docker sorts them. */
  readonly ports: readonly string[];
}
export interface UserInstruction extends Placed {
  readonly kind: 'user';
  readonly user: string;
}
export interface VolumeInstruction extends Placed {
  readonly kind: 'volume';
  readonly volumes: readonly string[];
}
export interface StopsignalInstruction extends Placed {
  readonly kind: 'stopsignal';
  readonly signal: string;
}
export interface ArgInstruction extends Placed {
  readonly kind: 'arg';
  /** Right above it. */
  readonly comments?: readonly string[];
  readonly definitions: readonly ArgDefinition[];
}
export interface ShellInstruction extends Placed {
  readonly kind: 'shell';
  readonly shell: readonly string[];
}

/** Everything but FROM. */
export type Instruction =
  | EnvInstruction
  | LabelInstruction
  | MaintainerInstruction
  | AddInstruction
  | CopyInstruction
  | OnbuildInstruction
  | WorkdirInstruction
  | RunInstruction
  | CmdInstruction
  | EntrypointInstruction
  | HealthcheckInstruction
  | ExposeInstruction
  | UserInstruction
  | VolumeInstruction
  | StopsignalInstruction
  | ArgInstruction
  | ShellInstruction;

export interface FromInstruction extends Placed {
  readonly kind: 'from';
  /** Variables are still in it. */
  readonly baseName: string;
  /** Lower case; empty when the stage has no name. */
  readonly name: string;
  readonly platform: string;
  readonly comment?: string;
  /** Right above it. */
  readonly comments?: readonly string[];
}

export interface Stage extends FromInstruction {
  readonly index: number;
  readonly instructions: readonly Instruction[];
}

export interface Dockerfile {
  readonly directives: Directives;
  /** ARG before the first FROM. */
  readonly metaArgs: readonly ArgInstruction[];
  /** Never empty unless the file has only meta ARGs. */
  readonly stages: readonly Stage[];
  /** For the user; printed as `[WARNING]: …`. */
  readonly warnings: readonly ReadWarning[];
}
