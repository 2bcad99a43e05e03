import { EngineError, isErrno, messageOf } from '#errdefs';
import { sys } from '#sys';
import { Pidfd } from './pidfd.ts';
import { SyncPipe } from './sync-pipe.ts';
import type { RuntimeInfo } from './types.ts';

/** Environment of conmon and, through it, of the runtime; none of it reaches a container. */
const basePath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Descriptors conmon is started with: its reports, its "attach now", the word to go on. */
const syncFd = 3;
const attachFd = 4;
const startFd = 5;
/** A console socket in a longer folder would not fit `sun_path`. */
const consoleFolderLimit = 80;

export interface ConmonOptions {
  readonly arguments: readonly string[];
  /** Folder for the console socket of a terminal. */
  readonly folder: string;
  /** Started with `--exec-attach`: reports when it can be attached to and waits for {@link Conmon.proceed}. */
  readonly waitForAttach?: boolean;
  /** For what the runtime starts. */
  readonly oomScoreAdj?: number;
}

/** A conmon of ours: leader of its own session, holding no descriptor of ours but the sync pipe, outliving us. */
export interface Conmon {
  readonly pid: number;
  readonly reports: SyncPipe;
  /** Lets an `--exec-attach` conmon start its command. */
  proceed(): void;
  /** Ends it and the runtime it is waiting for. */
  abandon(): void;
}

/** The arguments every conmon shares, whichever thing it watches. */
export function commonArguments(
  info: RuntimeInfo,
  options: {
    containerID: string;
    uniqueID: string;
    folder: string;
    stateFolder: string;
    terminal: boolean;
    openStdin: boolean;
    leaveStdinOpen: boolean;
    logPath: string | undefined;
  },
): string[] {
  return [
    '--api-version',
    // Without it conmon forks once more to leave its parent; as a session of its own it outlives us just the same.
    '--sync',
    // The log is the container's, not a database: its last page may be lost with the machine, as dockerd's is.
    '--no-sync-log',
    '--full-attach',
    ...['--runtime', info.wrapperPath ?? info.path],
    ...[...info.args, `--root=${options.stateFolder}`].flatMap((text) => ['--runtime-arg', text]),
    ...['--cid', options.containerID, '--cuuid', options.uniqueID],
    ...['--bundle', options.folder, '--container-pidfile', `${options.folder}/pid`],
    ...['--log-path', options.logPath === undefined ? 'none' : `k8s-file:${options.logPath}`],
    ...(options.terminal ? ['--terminal'] : []),
    ...(options.openStdin ? ['--stdin'] : []),
    ...(options.leaveStdinOpen ? ['--leave-stdin-open'] : []),
  ];
}

export function runtimeEnvironment(info: RuntimeInfo): NodeJS.ProcessEnv {
  return { PATH: basePath, TZ: 'UTC', ...(info.wrapperPath !== undefined && { WHERRY_RUNTIME: info.path }) };
}

/** Starts conmon. @throws `failed-precondition` when it cannot be executed. */
export async function startConmon(info: RuntimeInfo, options: ConmonOptions): Promise<Conmon> {
  const [reading, writing] = sys.pipe();
  const [startReading, startWriting] = options.waitForAttach ? sys.pipe() : [undefined, undefined];
  const close = (...fds: (number | undefined)[]) => {
    for (const fd of fds) if (fd !== undefined) sys.close(fd);
  };
  const stdio = [-1, -1, writing, writing, ...(startReading === undefined ? [] : [writing, startReading])];
  const env = Object.entries(conmonEnvironment(info, options)).map(([name, value]) => `${name}=${value}`);
  try {
    const pid = sys.spawnSession(info.conmonPath, [info.conmonPath, ...options.arguments], env, stdio);
    return new StartedConmon(pid, new SyncPipe(reading), startWriting);
  } catch (error) {
    close(reading, startWriting);
    throw new EngineError('failed-precondition', `start ${info.conmonPath}: ${messageOf(error)}`, { cause: error });
  } finally {
    close(writing, startReading);
  }
}

function conmonEnvironment(info: RuntimeInfo, options: ConmonOptions): NodeJS.ProcessEnv {
  return {
    ...runtimeEnvironment(info),
    ...(options.folder.length <= consoleFolderLimit && { TMPDIR: options.folder }),
    ...(info.wrapperPath !== undefined && options.oomScoreAdj && { WHERRY_OOM_SCORE_ADJ: String(options.oomScoreAdj) }),
    _OCI_SYNCPIPE: String(syncFd),
    ...(options.waitForAttach && { _OCI_ATTACHPIPE: String(attachFd), _OCI_STARTPIPE: String(startFd) }),
  };
}

/** Not reaped as long as its end of the pipe is open, so the number is still its own. */
function killChild(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}

class StartedConmon implements Conmon {
  readonly pid: number;
  readonly reports: SyncPipe;
  #startPipe: number | undefined;

  constructor(pid: number, reports: SyncPipe, startPipe: number | undefined) {
    this.pid = pid;
    this.reports = reports;
    this.#startPipe = startPipe;
    Pidfd.open(pid)?.onEnd(() => void sys.reap(pid));
    // conmon reads one byte before it sets anything up and one before it starts the command.
    if (startPipe !== undefined) sys.writeSome(startPipe, Buffer.of(0));
  }

  proceed(): void {
    if (this.#startPipe === undefined) return;
    sys.writeSome(this.#startPipe, Buffer.of(0));
    this.#closeStartPipe();
  }

  abandon(): void {
    if (!this.reports.hasEnded) killChild(this.pid);
    this.#closeStartPipe();
    this.reports.close();
  }

  #closeStartPipe(): void {
    if (this.#startPipe !== undefined) sys.close(this.#startPipe);
    this.#startPipe = undefined;
  }
}
