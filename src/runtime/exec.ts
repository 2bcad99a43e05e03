import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type EngineError, isErrno } from '#errdefs';
import { type Conmon, commonArguments, startConmon } from './conmon.ts';
import { Console } from './console.ts';
import type { RuntimeHost } from './runtime-host.ts';
import { buildProcess } from './spec.ts';
import { startFailure } from './start-failure.ts';
import type { SyncMessage } from './sync-pipe.ts';
import type { ExecOptions, ExitStatus, RunningProcess } from './types.ts';

export const startTimeoutMs = 120_000;
const exitCodeOfLost = 255;

/**
 * Runs one more process in a container: conmon with `exec`. Its exit code comes over the sync pipe, so an exec is forgotten with
 * the daemon that started it; the process itself goes on.
 */
export async function execProcess(
  host: Pick<RuntimeHost, 'info' | 'root'>,
  containerID: string,
  options: ExecOptions,
): Promise<RunningProcess> {
  options.signal?.throwIfAborted();
  const folder = host.root.makeExecFolder(options.id, buildProcess(options.process));
  let conmon: Conmon | undefined;
  try {
    conmon = await startConmon(host.info, {
      folder,
      waitForAttach: options.attach ?? false,
      oomScoreAdj: options.process.oomScoreAdj ?? 0,
      arguments: execArguments(host, containerID, folder, options),
    });
    const console = new Console({
      folder,
      terminal: options.process.terminal,
      openStdin: options.openStdin,
      stdinOnce: true,
    });
    if (options.attach) await holdOutput(conmon, console, folder, options);
    const started = await conmon.reports.nextWithin(startTimeoutMs, options.signal);
    if (started === undefined || started.data <= 0) throw refusal(conmon, started, folder, options);
    setScore(started.data, options.process.oomScoreAdj ?? 0);
    return new ExecProcess({ pid: started.data, conmon, console, onEnd: () => host.root.removeExec(options.id) });
  } catch (error) {
    conmon?.abandon();
    host.root.removeExec(options.id);
    throw error;
  }
}

function execArguments(
  host: Pick<RuntimeHost, 'info' | 'root'>,
  containerID: string,
  folder: string,
  options: ExecOptions,
): string[] {
  return [
    ...commonArguments(host.info, {
      containerID,
      uniqueID: options.id,
      folder,
      stateFolder: host.root.stateFolder,
      terminal: options.process.terminal,
      openStdin: options.openStdin,
      leaveStdinOpen: false,
      logPath: undefined,
    }),
    ...['--exec', '--exec-process-spec', `${folder}/process.json`],
    ...(options.attach ? ['--exec-attach'] : []),
    // On a terminal the runtime's complaints go to the terminal, where nobody reads them.
    ...(options.process.terminal ? ['--runtime-arg', `--log=${runtimeLog(folder)}`] : []),
  ];
}

async function holdOutput(conmon: Conmon, console: Console, folder: string, options: ExecOptions): Promise<void> {
  const ready = await conmon.reports.nextWithin(startTimeoutMs, options.signal);
  if (ready === undefined || ready.data < 0) throw refusal(conmon, ready, folder, options);
  console.hold();
  conmon.proceed();
}

function refusal(conmon: Conmon, report: SyncMessage | undefined, folder: string, options: ExecOptions): EngineError {
  const words = report?.message || conmon.reports.words || loggedWords(folder);
  return startFailure('exec', words, options.process.args[0] ?? '');
}

const runtimeLog = (folder: string) => `${folder}/runtime.log`;

function loggedWords(folder: string): string {
  const path = runtimeLog(folder);
  return existsSync(path) ? readFileSync(path).toString() : '';
}

/** crun leaves the score of an exec's process as it is. The process may have ended by now. */
function setScore(pid: number, oomScoreAdj: number): void {
  if (oomScoreAdj === 0) return;
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(oomScoreAdj));
  } catch (error) {
    if (!isErrno(error, 'ENOENT') && !isErrno(error, 'ESRCH')) throw error;
  }
}

class ExecProcess implements RunningProcess {
  readonly pid: number;
  readonly startedAt = new Date();
  readonly exited: Promise<ExitStatus>;
  readonly #console: Console;

  constructor(parts: { pid: number; conmon: Conmon; console: Console; onEnd: () => void }) {
    this.pid = parts.pid;
    this.#console = parts.console;
    parts.conmon.reports.unref();
    this.exited = parts.conmon.reports.next().then((report) => {
      parts.conmon.reports.close();
      parts.onEnd();
      const code = report === undefined || report.data < 0 ? exitCodeOfLost : report.data;
      return { exitCode: code, oomKilled: false, finishedAt: new Date() };
    });
  }

  async attach(options: { input?: boolean } = {}): ReturnType<RunningProcess['attach']> {
    return this.#console.attach(options);
  }

  async resize(rows: number, columns: number): Promise<void> {
    this.#console.resize(rows, columns);
  }
}
