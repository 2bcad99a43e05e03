import type { AttachedStreams, ExecCreateConfig, ExecInspect } from '#api-types';
import { EngineError } from '#errdefs';
import { type ProcessSpec, type RunningProcess, StartError } from '#runtime';
import type { EngineContext } from '../context.ts';
import { newID } from '../ids.ts';
import { attachedStreams, notRunning } from './attach.ts';
import { availableCapabilities } from './capabilities.ts';
import type { Container } from './container.ts';
import { emitContainer } from './events.ts';
import { linkedEnvironment } from './links/index.ts';
import { refuseRestarting } from './restarting.ts';
import { parseSecurity } from './security.ts';
import { processEnv, processLimits } from './spec.ts';
import { endsWithin } from './stop.ts';
import { resolveUser } from './user.ts';

interface StartOptions {
  readonly detach: boolean;
  readonly tty: boolean;
  readonly consoleSize?: readonly [number, number];
  readonly onAccepted?: () => Promise<void>;
}

interface Exec {
  readonly id: string;
  readonly container: Container;
  readonly config: ExecCreateConfig;
  process?: RunningProcess;
  started: boolean;
  /** The start has come to an end, good or bad. */
  readonly launched: PromiseWithResolvers<void>;
  exitCode: number | null;
}

/** How many ended execs are remembered for inspect; older ones are forgotten first. */
const rememberedExecs = 256;
/** How long a new size waits for the start: clients send both at once. */
const resizeWaitSeconds = 10;

/** Commands run inside running containers. Lives as long as the engine: execs do not outlive it in Docker either. */
export class ExecTable {
  readonly #execs = new Map<string, Exec>();
  readonly #ended: string[] = [];
  readonly #watchedForRemoval = new WeakSet<Container>();
  readonly #watchedForExit = new WeakSet<Container>();
  readonly #ctx: EngineContext;

  constructor(ctx: EngineContext) {
    this.#ctx = ctx;
  }

  /** @throws `conflict` when the container does not run or is paused; `invalid-argument` without a command. */
  create(reference: string, config: ExecCreateConfig): { Id: string } {
    const container = this.#ctx.containers.resolve(reference);
    checkRunning(container, reference);
    if (!config.Cmd || config.Cmd.length === 0) throw new EngineError('invalid-argument', 'No exec command specified');
    if (config.User) resolveUser(rootOf(container), config.User);
    // A container that it is linked to may have gone: said now, as dockerd does.
    linkedEnvironment(this.#ctx, container);
    this.#ctx.runtime.anticipate();
    const id = newID();
    this.#forgetWith(container);
    this.#execs.set(id, { id, container, config, started: false, exitCode: null, launched: Promise.withResolvers() });
    container.execIDs = [...container.execIDs, id];
    emitContainer(this.#ctx, container, `exec_create: ${eventCommand(config)}`, { execID: id });
    return { Id: id };
  }

  async start(id: string, options: StartOptions): Promise<AttachedStreams | undefined> {
    const exec = this.#get(id);
    const { container, config } = exec;
    if (exec.exitCode !== null) throw new EngineError('conflict', `exec command ${id} has already run`);
    if (exec.started) throw new EngineError('conflict', `exec command ${id} is already running`);
    checkRunning(container);
    exec.started = true;
    try {
      await options.onAccepted?.();
      exec.process = await this.#launch(exec, options);
    } catch (error) {
      exec.exitCode = error instanceof StartError ? error.exitCode : 126;
      this.#forget(exec);
      throw error;
    } finally {
      exec.launched.resolve();
    }
    emitContainer(this.#ctx, container, `exec_start: ${eventCommand(config)}`, { execID: id });
    const live = options.detach ? undefined : await exec.process.attach({ input: config.AttachStdin ?? false });
    const settled = exec.process.exited.then((status) => this.#settle(exec, status.exitCode));
    if (!live) return undefined;
    return attachedStreams({
      tty: config.Tty ?? false,
      history: undefined,
      live: Promise.resolve(live),
      // Clients ask for the exit code as soon as the output ends: it is known by then.
      settled,
      options: {
        stdin: config.AttachStdin ?? false,
        stdout: config.AttachStdout ?? false,
        stderr: config.AttachStderr ?? false,
        stream: true,
      },
    });
  }

  async resize(id: string, size: { height: number; width: number }): Promise<void> {
    const exec = this.#get(id);
    if (exec.exitCode !== null) throw new EngineError('not-found', `NotFound: process does not exist ${id}: not found`);
    if (!(await endsWithin(exec.launched.promise, resizeWaitSeconds))) {
      throw new EngineError('internal', 'timeout waiting for exec session ready');
    }
    if (!exec.process) throw new EngineError('invalid-argument', 'exec process is not started');
    await exec.process.resize(size.height, size.width);
  }

  inspect(id: string): ExecInspect {
    const exec = this.#get(id);
    const { config } = exec;
    const [entrypoint = '', ...args] = config.Cmd ?? [];
    return {
      ID: id,
      Running: exec.started && exec.exitCode === null,
      ExitCode: exec.exitCode,
      ProcessConfig: {
        tty: config.Tty ?? false,
        entrypoint,
        arguments: args,
        privileged: config.Privileged ?? false,
        ...(config.User ? { user: config.User } : {}),
      },
      OpenStdin: config.AttachStdin ?? false,
      OpenStderr: config.AttachStderr ?? false,
      OpenStdout: config.AttachStdout ?? false,
      CanRemove: false,
      ContainerID: exec.container.id,
      DetachKeys: config.DetachKeys ?? '',
      Pid: exec.process?.pid ?? 0,
    };
  }

  async #launch(exec: Exec, options: StartOptions): Promise<RunningProcess> {
    const root = rootOf(exec.container);
    const [height = 0, width = 0] = options.consoleSize ?? exec.config.ConsoleSize ?? [];
    return await this.#ctx.runtime.exec(exec.container.id, {
      id: exec.id,
      process: {
        ...execProcess(this.#ctx, exec.container, exec.config, root),
        ...(height > 0 && width > 0 ? { consoleSize: { height, width } } : {}),
      },
      openStdin: exec.config.AttachStdin ?? false,
      attach: !options.detach,
    });
  }

  #get(id: string): Exec {
    const exec = this.#execs.get(id);
    if (!exec) throw new EngineError('not-found', `No such exec instance: ${id}`);
    return exec;
  }

  #settle(exec: Exec, exitCode: number): void {
    exec.exitCode = exitCode;
    emitContainer(this.#ctx, exec.container, 'exec_die', { execID: exec.id, exitCode: String(exitCode) });
    this.#forget(exec);
  }

  /** Once a container has ended, execs that it never ran answer "no such exec"; once it is removed, all of them do. */
  #forgetWith(container: Container): void {
    if (!this.#watchedForRemoval.has(container)) {
      this.#watchedForRemoval.add(container);
      void container.removed().then(() => this.#drop((exec) => exec.container === container));
    }
    if (this.#watchedForExit.has(container)) return;
    this.#watchedForExit.add(container);
    void container.nextExit().then(() => {
      this.#watchedForExit.delete(container);
      this.#drop((exec) => exec.container === container && !exec.started);
    });
  }

  #drop(isGone: (exec: Exec) => boolean): void {
    for (const exec of [...this.#execs.values()]) {
      if (!isGone(exec)) continue;
      dropID(exec);
      this.#execs.delete(exec.id);
    }
  }

  #forget(exec: Exec): void {
    dropID(exec);
    this.#ended.push(exec.id);
    if (this.#ended.length > rememberedExecs) this.#execs.delete(this.#ended.shift()!);
  }
}

function dropID({ id, container }: Exec): void {
  container.execIDs = container.execIDs.filter((known) => known !== id);
}

/** The command as dockerd's events write it: a space after the first word even when nothing follows. */
export const eventCommand = ({ Cmd }: ExecCreateConfig) => `${Cmd?.[0] ?? ''} ${(Cmd ?? []).slice(1).join(' ')}`;

export const rootOf = (container: Container) => `/proc/${container.body.state.pid}/root`;

function checkRunning(container: Container, reference: string = container.id): void {
  if (!container.isRunning) throw notRunning(container);
  refuseRestarting(container);
  if (container.body.state.status === 'paused') {
    throw new EngineError('conflict', `Container ${reference} is paused, unpause the container before exec`);
  }
}

/** The process of an exec in a running container; `root` is its root as the host sees it. */
export function execProcess(
  ctx: EngineContext,
  container: Container,
  config: ExecCreateConfig,
  root: string,
): ProcessSpec {
  const base = container.body.config;
  const security = parseSecurity(container.body.hostConfig, ctx.options.containerDefaults);
  const user = resolveUser(root, config.User || base.User || '', container.body.hostConfig.GroupAdd ?? []);
  const terminal = config.Tty ?? false;
  const configured = [...(base.Env ?? []), ...(config.Env ?? [])];
  const linked = linkedEnvironment(ctx, container);
  const cwd = config.WorkingDir || base.WorkingDir || '/';
  if (configured.some((item) => item.startsWith('='))) {
    const fault = 'unable to start container process: invalid environment variable: name cannot be empty';
    throw new StartError(`OCI runtime exec failed: exec failed: ${fault}`, 128);
  }
  if (!cwd.startsWith('/'))
    throw new StartError('OCI runtime exec failed: exec failed: Cwd must be an absolute path', 128);
  return {
    args: config.Cmd ?? [],
    env: processEnv(configured, { hostname: base.Hostname ?? '', terminal, home: user.home, linked }),
    cwd,
    terminal,
    uid: user.uid,
    gid: user.gid,
    additionalGids: user.additionalGids,
    capabilities: config.Privileged ? availableCapabilities() : security.capabilities,
    noNewPrivileges: security.noNewPrivileges,
    rlimits: processLimits(container.body.hostConfig),
    oomScoreAdj: container.body.hostConfig.OomScoreAdj ?? 0,
  };
}
