import type { Engine } from '#api-types';
import type { FlagSpec, Flags } from './flags.ts';

/** Where a command writes and reads; tests put their own in its place. */
export interface Terminal {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

export interface CommandContext {
  readonly terminal: Terminal;
  readonly flags: Flags;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Connects on first use. */
  readonly engine: () => Engine;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

export interface Command {
  readonly name: string;
  /** After the name in the usage line: `[OPTIONS] IMAGE [IMAGE...]`. */
  readonly usage: string;
  readonly summary: string;
  readonly flags: readonly FlagSpec[];
  readonly minArgs: number;
  /** Absent is any number. */
  readonly maxArgs?: number;
  /** False for commands that carry another command's line. */
  readonly interspersed?: boolean;
  /** Other ways to write it: `image ls`. */
  readonly aliases?: readonly string[];
  /** The exit status. */
  run(context: CommandContext): Promise<number>;
}
