import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EngineError, ExitError, isErrno, messageOf } from '#errdefs';
import { Cgroup, type Cgroups } from './cgroups.ts';
import { commonArguments, startConmon } from './conmon.ts';
import { Console } from './console.ts';
import { Container } from './container.ts';
import { openGate } from './crun-gate.ts';
import { sendReopenLog } from './ctl-fifo.ts';
import { execProcess, startTimeoutMs } from './exec.ts';
import { Exits } from './exits.ts';
import { tellFullDisk } from './full-disk.ts';
import { leftoverIDs, removeLeftovers, removeUnfinished } from './leftovers.ts';
import { LogKeeper } from './log-keeper.ts';
import { followMessages } from './log-messages.ts';
import { readLog } from './log-reader.ts';
import { moveMonitorLater } from './monitor-cgroup.ts';
import { sysctlFault } from './namespaces.ts';
import { OtherRuntimes } from './other-runtimes.ts';
import { isInCgroup } from './pidfd.ts';
import { probe } from './probe.ts';
import { procMountFault } from './proc-mounts.ts';
import { ownProcessList, QuickMoves } from './quick-moves.ts';
import { readRlimitHost, rlimitFault } from './rlimits.ts';
import { type ContainerFacts, RunRoot } from './run-root.ts';
import { discard, hostOf, type RuntimeHost, runRuntime } from './runtime-host.ts';
import { SeccompCache } from './seccomp-cache.ts';
import { buildSpec, cgroupPath, type HostFacts } from './spec.ts';
import { cpuSharesBound, cpuSharesFault, ociResources, readSwapLimit } from './spec-resources.ts';
import { startFailure, updateFailure } from './start-failure.ts';
import type {
  CgroupStats,
  ContainerSpec,
  CreatedContainer,
  CreateOptions,
  ExecOptions,
  LogFollow,
  LogLimits,
  LogMessage,
  LogQuery,
  ResourceLimits,
  RunningProcess,
  Runtime,
  RuntimeInfo,
  RuntimeOptions,
  RuntimeProgram,
} from './types.ts';

const sigkill = 9;
const killTimeoutMs = 10_000;

/**
 * Finds a runtime that works here and takes the run root. One daemon at a time uses a run root. Containers outlive the object.
 * @throws `failed-precondition` when there is no conmon, or no runtime that runs a container.
 */
export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { info, cgroups } = await probe(options);
  return new OciRuntime(info, cgroups, new RunRoot(options.runRoot), new OtherRuntimes(info, options));
}

class OciRuntime implements Runtime {
  readonly info: RuntimeInfo;
  readonly #cgroups: Cgroups;
  readonly #root: RunRoot;
  readonly #exits: Exits;
  readonly #facts: HostFacts;
  readonly #host: RuntimeHost;
  readonly #seccomp = new SeccompCache();
  readonly #moves: QuickMoves;
  readonly #others: OtherRuntimes;
  readonly #rlimits = readRlimitHost();
  readonly #containers = new Map<string, Container>();
  readonly #keepers = new Map<string, LogKeeper>();

  constructor(info: RuntimeInfo, cgroups: Cgroups, root: RunRoot, others: OtherRuntimes) {
    this.info = info;
    this.#others = others;
    this.#cgroups = cgroups;
    this.#root = root;
    this.#exits = new Exits(root.exitsFolder);
    root.removeExecs();
    this.#exits.keepOnly(new Set(root.list()));
    this.#host = { info, root, cgroups, exits: this.#exits };
    this.#moves = new QuickMoves(() => ownProcessList(cgroups));
    this.#facts = {
      version: cgroups.version,
      swapLimit: readSwapLimit(cgroups.version, cgroups.folder('memory')),
      arch: process.arch,
      kernelRelease: release(),
    };
  }

  get runtimes(): ReadonlyMap<string, RuntimeProgram> {
    return this.#others.known;
  }

  anticipate(): void {
    this.#moves.expect();
  }

  async create(spec: ContainerSpec, options: CreateOptions): Promise<CreatedContainer> {
    options.signal?.throwIfAborted();
    this.#moves.expect();
    if (options.logPath?.includes(':')) {
      throw new EngineError('invalid-argument', `create container: ":" in the log path ${options.logPath}`);
    }
    const fault =
      sysctlFault(spec) ??
      rlimitFault(spec.process.rlimits ?? [], this.#rlimits) ??
      cpuSharesFault(spec.resources, this.#cgroups.version) ??
      procMountFault(spec);
    if (fault !== undefined) throw startFailure('create', fault, '');
    const info = await this.#others.get(spec.runtime);
    const facts: ContainerFacts = {
      terminal: spec.process.terminal,
      openStdin: options.openStdin,
      // A terminal's input is never closed by who leaves: the next client types on.
      stdinOnce: (options.stdinOnce ?? false) && !spec.process.terminal,
      cgroupPath: cgroupPath(spec),
      ...(info === this.info ? {} : { runtime: shortInfo(info) }),
    };
    const oci = buildSpec(spec, this.#facts);
    const crun = info.name === 'crun';
    const folder = this.#root.makeBundle(spec.id, crun ? this.#seccomp.apply(oci) : oci, facts);
    try {
      const container = await this.#launch(spec, { info, folder, facts, options });
      if (crun) this.#seccomp.learn(oci, join(this.#root.stateOf(spec.id), 'seccomp.bpf'));
      this.#containers.set(spec.id, container);
      return {
        pid: container.pid,
        process: container,
        start: () => this.#start(container, info, spec.process.args[0] ?? ''),
      };
    } catch (error) {
      await removeUnfinished(this.#host, spec.id);
      throw error;
    }
  }

  async #launch(spec: ContainerSpec, { info, folder, facts, options }: LaunchParts): Promise<Container> {
    this.#exits.forget(spec.id);
    const conmon = await startConmon(info, {
      folder,
      arguments: this.#createArguments(spec, { info, folder, facts, options }),
    });
    try {
      const report = await conmon.reports.nextWithin(startTimeoutMs, options.signal);
      if (report === undefined || report.data <= 0) {
        const words = report?.message ?? conmon.reports.words;
        throw tellFullDisk(startFailure('create', words, spec.process.args[0] ?? ''), this.#root.path);
      }
      const container = this.#container(spec.id, facts, { pid: report.data, conmonPid: conmon.pid });
      conmon.reports.close();
      moveMonitorLater({ pid: conmon.pid, isNeeded: () => !container.hasExited }, this.#cgroups, spec.cgroupParent);
      return container;
    } catch (error) {
      conmon.abandon();
      throw error;
    }
  }

  #createArguments(spec: ContainerSpec, { info, folder, facts, options }: LaunchParts): string[] {
    return [
      ...commonArguments(info, {
        containerID: spec.id,
        uniqueID: spec.id,
        folder,
        stateFolder: this.#root.stateFolder,
        terminal: facts.terminal,
        openStdin: facts.openStdin,
        leaveStdinOpen: facts.openStdin && !facts.stdinOnce,
        logPath: options.logPath,
      }),
      ...['--exit-dir', this.#exits.folder],
    ];
  }

  #container(
    id: string,
    facts: ContainerFacts,
    process: { pid: number; conmonPid?: number; startedAt?: Date },
  ): Container {
    return new Container({
      id,
      pid: process.pid,
      conmonPid: process.conmonPid,
      startedAt: process.startedAt ?? new Date(),
      cgroup: new Cgroup(this.#cgroups, facts.cgroupPath),
      exits: this.#exits,
      console: new Console({ folder: this.#root.bundle(id), ...facts }),
    });
  }

  async #start(container: Container, info: RuntimeInfo, command: string): Promise<void> {
    const now = new Date();
    if (!(info.name === 'crun' && openGate(this.#root.execFifo(container.id)))) {
      try {
        await runRuntime(hostOf(this.#host, container.id), ['start', container.id]);
      } catch (error) {
        throw tellFullDisk(startFailure('create', messageOf(error), command), this.#root.path);
      }
    }
    container.markStarted(now);
    this.#root.markStarted(container.id, now);
  }

  async adopt(id: string): Promise<RunningProcess | undefined> {
    const known = this.#containers.get(id);
    if (known) return known;
    const facts = this.#root.facts(id);
    const pid = this.#root.pid(id);
    const exited = this.#exits.read(id) !== undefined;
    const runs = facts !== undefined && pid !== undefined && isInCgroup(pid, facts.cgroupPath);
    const neverStarted = existsSync(this.#root.execFifo(id));
    if (facts === undefined || pid === undefined || neverStarted || !(runs || exited)) {
      await discard(this.#host, id, facts?.cgroupPath);
      return undefined;
    }
    const container = this.#container(id, facts, { pid, startedAt: this.#root.startedAt(id) });
    this.#containers.set(id, container);
    return container;
  }

  async kill(id: string, signal: number, options: { all?: boolean } = {}): Promise<void> {
    const container = this.#running(id);
    if (!options.all) {
      if (!container.signal(signal)) throw notRunning(id);
      return;
    }
    for (const pid of container.cgroup.processes()) signalIfThere(pid, signal);
  }

  async pause(id: string): Promise<void> {
    await this.#running(id).cgroup.freeze();
  }

  async resume(id: string): Promise<void> {
    await this.#running(id).cgroup.thaw();
  }

  async update(id: string, resources: ResourceLimits): Promise<void> {
    const { cgroup } = this.#running(id);
    const bound = cpuSharesBound(resources, this.#cgroups.version);
    if (bound) throw updateFailure(bound);
    // crun would write these as numbers, which the kernel refuses.
    const { pidsLimit = 1, cpuQuota = 0 } = resources;
    if (pidsLimit <= 0) cgroup.liftPidsLimit();
    if (cpuQuota < 0) cgroup.liftCpuQuota();
    const oci = ociResources(resources, this.#facts);
    if (Object.keys(oci).length === 0) return;
    const path = join(this.#root.bundle(id), 'update.json');
    writeFileSync(path, JSON.stringify(oci), { mode: 0o600 });
    try {
      await runRuntime(hostOf(this.#host, id), ['update', '--resources', path, id]);
    } catch (cause) {
      if (!(cause instanceof ExitError)) throw cause;
      throw updateFailure(cause.stderr, cause);
    } finally {
      rmSync(path, { force: true });
    }
  }

  async delete(id: string, options: { force?: boolean } = {}): Promise<void> {
    if (!this.#containers.has(id)) await this.adopt(id);
    const container = this.#containers.get(id);
    const facts = this.#root.facts(id);
    if (container && !container.hasExited && this.#exits.read(id) === undefined) {
      if (!options.force) throw new EngineError('failed-precondition', `delete container ${id}: it is running`);
      await this.#killAndWait(container);
    }
    container?.[Symbol.dispose]();
    this.#containers.delete(id);
    await discard(this.#host, id, facts?.cgroupPath);
  }

  async #killAndWait(container: Container): Promise<void> {
    container.signal(sigkill);
    // A frozen process dies only when it is thawed.
    await container.cgroup.thaw().catch(() => {});
    const timeout = delay(killTimeoutMs, 'timeout', { ref: false });
    if ((await Promise.race([container.exited, timeout])) === 'timeout') {
      throw new EngineError('deadline-exceeded', `delete container ${container.id}: it does not end`);
    }
  }

  async exec(containerID: string, options: ExecOptions): Promise<RunningProcess> {
    this.#running(containerID);
    this.#moves.expect();
    return execProcess(hostOf(this.#host, containerID), containerID, options);
  }

  stats(id: string): CgroupStats | undefined {
    const container = this.#containers.get(id);
    return container === undefined || container.hasExited ? undefined : container.cgroup.stats();
  }

  async processes(id: string): Promise<readonly number[]> {
    return this.#running(id).cgroup.processes();
  }

  async list(): Promise<readonly string[]> {
    return this.#root.list();
  }

  recover(keep: ReadonlySet<string>): Promise<void> {
    return removeLeftovers(this.#host, keep);
  }

  async *verify(keep: ReadonlySet<string>): AsyncGenerator<string> {
    for (const id of leftoverIDs(this.#host, keep)) {
      if (!this.#containers.has(id)) yield `runtime: ${id} belongs to no running container`;
    }
  }

  keepLog(id: string, limits: LogLimits): void {
    const container = this.#containers.get(id);
    if (container === undefined || container.hasExited) return;
    const keeper = new LogKeeper(limits, () => sendReopenLog(this.#root.bundle(id)));
    this.#keepers.get(id)?.[Symbol.dispose]();
    this.#keepers.set(id, keeper);
    void container.exited.then(() => {
      keeper[Symbol.dispose]();
      if (this.#keepers.get(id) === keeper) this.#keepers.delete(id);
    });
  }

  logs(logPath: string, query: LogQuery): AsyncIterable<Uint8Array> {
    return readLog(logPath, query);
  }

  logMessages(logPath: string, follow: LogFollow): AsyncIterable<Iterable<LogMessage>> {
    return followMessages(logPath, follow);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#moves.stop();
    for (const keeper of this.#keepers.values()) keeper[Symbol.dispose]();
    for (const container of this.#containers.values()) container[Symbol.dispose]();
    this.#containers.clear();
    this.#exits[Symbol.dispose]();
  }

  #running(id: string): Container {
    const container = this.#containers.get(id);
    if (!container) throw new EngineError('not-found', `no such container: ${id}`);
    if (container.hasExited) throw notRunning(id);
    return container;
  }
}

interface LaunchParts {
  readonly info: RuntimeInfo;
  readonly folder: string;
  readonly facts: ContainerFacts;
  readonly options: CreateOptions;
}

function shortInfo({ name, path, args, wrapperPath }: RuntimeInfo): NonNullable<ContainerFacts['runtime']> {
  return { name, path, args, ...(wrapperPath === undefined ? {} : { wrapperPath }) };
}

function notRunning(id: string): EngineError {
  return new EngineError('failed-precondition', `container ${id} is not running`);
}

function signalIfThere(pid: number, signal: number): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}
