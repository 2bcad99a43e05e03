import { EngineError } from '#errdefs';
import type { ByteSource } from '#streams';
import type { BlockLimits } from './block-io.ts';
import type { OciDevice } from './host-devices.ts';
import type { DeviceRule } from './spec-defaults.ts';

export interface RuntimeInfo {
  /** `crun` or `runc`, and where it is. */
  readonly name: string;
  /** What users call it: the name it was registered under, else its own. */
  readonly shownName: string;
  readonly path: string;
  /** In front of every command it is given. */
  readonly args: readonly string[];
  readonly version: string;
  readonly conmonPath: string;
  readonly conmonVersion: string;
  readonly cgroupVersion: 1 | 2;
  /** Hybrid cgroup hosts only: the helper that hides the v2 mount from the runtime, which then starts through it. */
  readonly wrapperPath?: string;
  /** Why this one and not another, for `docker info` and the log. */
  readonly reason: string;
}

/** A process to be run in a container: OCI runtime-spec v1.1 config.md §process, as far as Docker sets it. */
export interface ProcessSpec {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly terminal: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  readonly rlimits?: readonly { readonly type: string; readonly soft: number; readonly hard: number }[];
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly oomScoreAdj?: number;
}

export interface SpecMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface ResourceLimits {
  /** Bytes; 0 or absent is unlimited. */
  readonly memoryBytes?: number;
  /** Memory and swap together; -1 is unlimited, 0 or absent is twice the memory, as with Docker. */
  readonly memorySwapBytes?: number;
  readonly memoryReservationBytes?: number;
  /** Billionths of a CPU. */
  readonly nanoCpus?: number;
  readonly cpuShares?: number;
  readonly cpuPeriod?: number;
  readonly cpuQuota?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly pidsLimit?: number;
  /** 0 to 100; cgroup v1 only. */
  readonly memorySwappiness?: number;
  readonly oomKillDisable?: boolean;
  readonly cpuRealtimePeriod?: number;
  readonly cpuRealtimeRuntime?: number;
  readonly block?: BlockLimits;
}

/** For each kind `private` (absent: the same), `host`, or the path of a namespace to join. */
export interface NamespaceChoices {
  readonly ipc?: string;
  readonly pid?: string;
  readonly uts?: string;
  /** A path, when it is not the daemon's own; then with `userMappings`. */
  readonly user?: string;
  /** Absent: private with cgroup v2 unless privileged, as Docker has it. */
  readonly cgroup?: string;
}

/** The IDs of the user namespace that is joined: runtimes want to be told. */
export interface UserMappings {
  readonly uids: readonly UserMapping[];
  readonly gids: readonly UserMapping[];
}

export interface UserMapping {
  readonly container: number;
  readonly host: number;
  readonly sizeIDs: number;
}

/** OCI runtime-spec v1.1 config.md §posix-platform-hooks, by name. */
export type OciHooks = Readonly<
  Record<
    string,
    readonly {
      readonly path: string;
      readonly args?: readonly string[];
      readonly env?: readonly string[];
      readonly timeout?: number;
    }[]
  >
>;

/** What the kernel counts of a container; times in nanoseconds. */
export interface CgroupStats {
  readonly cpu: {
    readonly totalNs: number;
    readonly perCpuNs?: readonly number[];
    readonly userNs: number;
    readonly kernelNs: number;
    readonly periods: number;
    readonly throttledPeriods: number;
    readonly throttledNs: number;
  };
  readonly memory: {
    readonly usageBytes: number;
    readonly maxUsageBytes?: number;
    readonly failures?: number;
    readonly limitBytes: number;
    /** memory.stat as it is. */
    readonly detail: Readonly<Record<string, number>>;
  };
  /** A limit of 0 is none. */
  readonly pids: { readonly current: number; readonly limit: number };
  /** `serviced` counts operations, on version 1 alone. */
  readonly blockIO: { readonly serviceBytes: readonly BlockCount[]; readonly serviced?: readonly BlockCount[] };
}

export interface BlockCount {
  readonly major: number;
  readonly minor: number;
  readonly op: string;
  readonly value: number;
}

/** Everything the runtime needs to know of a container; turned into an OCI spec by `buildSpec`. */
export interface ContainerSpec {
  readonly id: string;
  readonly rootfs: string;
  readonly readonlyRootfs: boolean;
  readonly hostname: string;
  readonly process: ProcessSpec;
  /** Beyond Docker's default mounts (proc, dev, pts, sysfs, cgroup, mqueue, shm). */
  readonly mounts: readonly SpecMount[];
  readonly shmSizeBytes: number;
  readonly resources: ResourceLimits;
  /** Path of a prepared network namespace, or `host`. */
  readonly networkNamespace: string;
  readonly namespaces?: NamespaceChoices;
  readonly userMappings?: UserMappings;
  /** Folder to be mounted as /dev/shm in place of one of its own; `none` for no /dev/shm. */
  readonly shm?: string;
  readonly privileged: boolean;
  /** `unconfined`, a profile as Docker's users write it, or absent for Docker's default: none when privileged. */
  readonly seccomp?: 'unconfined' | { readonly profile: string };
  /** Its own control groups may be changed from inside. */
  readonly writableCgroups?: boolean;
  /** Beyond those every container has. A privileged one has all of the host's as well, and may use any. */
  readonly devices?: readonly OciDevice[];
  readonly deviceRules?: readonly DeviceRule[];
  readonly hooks?: OciHooks;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly cgroupParent: string;
  /** One of {@link Runtime.runtimes}; absent: the default. */
  readonly runtime?: string;
  /** Put an init that reaps in front; path of the binary on the host. */
  readonly initPath?: string;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ExitStatus {
  readonly exitCode: number;
  readonly oomKilled: boolean;
  readonly finishedAt: Date;
}

/** A container's or exec's output as it comes: `stdout`/`stderr` (a terminal has only stdout). */
export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Uint8Array;
}

/** One client's hold on a process's stdio. Any number may be attached. */
export interface Attachment extends AsyncDisposable {
  /**
   * Ends when the process's output ends. Nothing is dropped: while 1 MiB waits for a consumer, the process is held back,
   * as with Docker, and the other attachments with it. Iterate once; leaving the iteration detaches.
   */
  readonly output: AsyncIterable<OutputChunk>;
  /** Resolves once the bytes are on their way: await it for backpressure. What a process no longer reads is discarded. */
  write(data: Uint8Array): Promise<void>;
  /** Half-close: a process with `stdinOnce` reads end of file; any other keeps its input open for the next client. */
  closeInput(): Promise<void>;
}

export interface RunningProcess {
  readonly pid: number;
  readonly startedAt: Date;
  /** Resolves once, also for processes adopted from an earlier daemon. */
  readonly exited: Promise<ExitStatus>;
  /** `input`: this client holds the input; when it detaches from a process with `stdinOnce`, the process reads end of file. */
  attach(options?: { input?: boolean }): Promise<Attachment>;
  /** @throws `failed-precondition` without a terminal. */
  resize(rows: number, columns: number): Promise<void>;
}

export interface LogQuery {
  /** Go on when the end is reached, until `ended` resolves and what was written by then is read. */
  readonly follow?: boolean;
  /** For `follow`: the container's `exited`. Absent: until the signal aborts. */
  readonly ended?: Promise<unknown>;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  readonly sinceNs?: bigint;
  readonly untilNs?: bigint;
  /** Last N messages; absent is all. */
  readonly tail?: number;
  /** Without `follow`: also what has no line feed yet. Who still runs may write the rest of that line. */
  readonly unfinished?: boolean;
  /** The time in front of each message. */
  readonly timestamps?: boolean;
  /** What stands behind the time, in front of the text. */
  readonly front?: Uint8Array;
  /** Several messages of one stream in a frame: for who copies them, and does not count on one each. */
  readonly joined?: boolean;
  /** Without frames: the messages' bytes alone, for a terminal's log. */
  readonly bare?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** A byte of a log, however its files are named by then. */
export interface LogPlace {
  readonly file: string;
  readonly offset: number;
}

/** How far somebody has taken a log: so many messages behind a place where no line is open. */
export interface LogMark extends LogPlace {
  readonly taken: number;
}

/** One message of a log, as Docker makes them: a line without its line feed, or 16 KiB of a longer one. */
export interface LogMessage {
  readonly isStderr: boolean;
  readonly time: { readonly seconds: number; readonly nanos: number };
  /** Good until the next message is asked for. */
  readonly text: Uint8Array;
  /** Of a piece of a longer line: which line, which piece from 1 on. */
  readonly part?: { readonly line: string; readonly ordinal: number; readonly isLast: boolean };
  /** Who has taken this message goes on from here. */
  readonly mark: LogMark;
}

export interface LogFollow {
  /** Where an earlier reader was; a place that is gone, or none, is the beginning. */
  readonly from?: LogMark | undefined;
  /** The end of the process: what was written by then is given, a last line without its end as well. */
  readonly ended: Promise<unknown>;
  readonly signal?: AbortSignal;
}

/** How much of a log is kept: `maxFiles` files, each set aside when it has reached `maxBytes`. */
export interface LogLimits {
  readonly path: string;
  readonly maxBytes: number;
  readonly maxFiles: number;
}

export interface CreateOptions {
  /** Keep stdin open as a pipe (`docker run -i`); otherwise it is /dev/null. */
  readonly openStdin: boolean;
  /** Close it for good when the client that holds it leaves (`StdinOnce`, what `docker run -i` asks for). */
  readonly stdinOnce?: boolean;
  /** Absent: nothing is logged. */
  readonly logPath?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface ExecOptions {
  readonly id: string;
  readonly process: ProcessSpec;
  readonly openStdin: boolean;
  /** The command waits until output can be caught: the first `attach()` misses nothing. It must then be called, or the process blocks. */
  readonly attach?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The command could not be started. `message` is what dockerd says for it, whichever runtime refused; `exitCode` is what Docker
 * reports for the container: 127 no such file, 126 not executable, 128 for the rest. The kind is `invalid-argument` where the command is at fault, `internal`
 * for the rest, as dockerd has it.
 */
export class StartError extends EngineError {
  readonly exitCode: 126 | 127 | 128;

  constructor(message: string, exitCode: 126 | 127 | 128) {
    super(exitCode === 128 ? 'internal' : 'invalid-argument', message);
    this.name = 'StartError';
    this.exitCode = exitCode;
  }
}

/** A created container: its init exists and waits. */
export interface CreatedContainer {
  readonly pid: number;
  /** Attach before `start` to miss nothing. */
  readonly process: RunningProcess;
  start(): Promise<void>;
}

export interface Runtime extends AsyncDisposable {
  /** The default one. */
  readonly info: RuntimeInfo;
  /** Every runtime a container may ask for, by name. */
  readonly runtimes: ReadonlyMap<string, RuntimeProgram>;
  /** A create or an exec is on its way: makes the machine ready for it in the background. Costs little when none comes. */
  anticipate(): void;
  /** Bundle, conmon, `runtime create`. Nothing is left when it fails. @throws StartError when the runtime refuses; `already-exists`. */
  create(spec: ContainerSpec, options: CreateOptions): Promise<CreatedContainer>;
  /**
   * Takes over a container an earlier daemon started; its exit may already have happened (then `exited` is resolved). Undefined when
   * nothing of it is left, or when it was created but never started (what there was of it is removed).
   */
  adopt(id: string): Promise<RunningProcess | undefined>;
  kill(id: string, signal: number, options?: { all?: boolean }): Promise<void>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  /** Sets what is given. A `pidsLimit` of 0 or less and a negative `cpuQuota` lift the limit. */
  update(id: string, resources: ResourceLimits): Promise<void>;
  /** Removes what the runtime keeps (cgroup, state, bundle). The process must be gone or is killed with `force`. */
  delete(id: string, options?: { force?: boolean }): Promise<void>;
  /** Runs one more process in a container. It ends with the container. @throws StartError as `create` does. */
  exec(containerID: string, options: ExecOptions): Promise<RunningProcess>;
  /** What its cgroup has counted. Undefined when it does not run. */
  stats(id: string): CgroupStats | undefined;
  /** Host pids of a container's processes. */
  processes(id: string): Promise<readonly number[]>;
  /** IDs the run root knows. */
  list(): Promise<readonly string[]>;
  /** The start-up pass: ends and removes what there is of containers not in `keep`, those just being made by a killed daemon included. */
  recover(keep: ReadonlySet<string>): Promise<void>;
  /** One line for each container not in `keep` that has files or processes here. */
  verify(keep: ReadonlySet<string>): AsyncIterable<string>;
  /** Holds a running container's log to its limits until it ends. Of one that runs no more, does nothing. */
  keepLog(id: string, limits: LogLimits): void;
  /** Records of a container's log, oldest first; with `follow` until the container has ended or the signal aborts. */
  logs(logPath: string, query: LogQuery): AsyncIterable<Uint8Array>;
  /** A log's messages one by one, for who sends them on: up to the end of its process. Each block is to be taken whole before the next. */
  logMessages(logPath: string, follow: LogFollow): AsyncIterable<Iterable<LogMessage>>;
}

export interface RuntimeOptions {
  /** tmpfs: bundles, sockets, pid and exit files. */
  readonly runRoot: string;
  /** Path or bare name of the runtime to use instead of probing for one; whether it needs the hybrid wrapper is still found out. */
  readonly runtimePath?: string;
  /** The name users know that one by. */
  readonly runtimeName?: string;
  readonly runtimeArgs?: readonly string[];
  /** More of them, by name. */
  readonly runtimes?: Readonly<Record<string, RuntimeProgram>>;
}

export type RuntimeProgram = Pick<RuntimeInfo, 'path' | 'args'>;

export type { ByteSource };
