import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import { removeFolder } from '#files';
import type { RuntimeInfo } from './types.ts';

/** What a later daemon must know of a container to take it over. */
export interface ContainerFacts {
  readonly terminal: boolean;
  readonly openStdin: boolean;
  readonly stdinOnce: boolean;
  readonly cgroupPath: string;
  /** Of one that was not made by the default runtime. */
  readonly runtime?: Pick<RuntimeInfo, 'name' | 'path' | 'args' | 'wrapperPath'>;
}

const factsFile = 'container.json';

/**
 * The folder of files that live no longer than the machine runs: a bundle per container, one for each exec, exit files, the OCI
 * runtime's own state. Nothing here is synced to disk.
 */
export class RunRoot {
  readonly path: string;
  readonly stateFolder: string;
  readonly exitsFolder: string;
  readonly #containers: string;
  readonly #execs: string;

  /** Makes what is missing. */
  constructor(path: string) {
    this.path = path;
    this.stateFolder = join(path, 'state');
    this.exitsFolder = join(path, 'exits');
    this.#containers = join(path, 'containers');
    this.#execs = join(path, 'execs');
    for (const folder of [this.stateFolder, this.exitsFolder, this.#containers, this.#execs]) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    }
  }

  bundle(id: string): string {
    return join(this.#containers, checkedName(id));
  }

  execFolder(id: string): string {
    return join(this.#execs, checkedName(id));
  }

  stateOf(id: string): string {
    return join(this.stateFolder, checkedName(id));
  }

  list(): string[] {
    return readdirSync(this.#containers);
  }

  /** IDs the OCI runtime keeps a state of. */
  states(): string[] {
    return readdirSync(this.stateFolder).filter(isName);
  }

  /** @throws `already-exists`. */
  makeBundle(id: string, config: unknown, facts: ContainerFacts): string {
    const folder = this.bundle(id);
    makeFolder(folder, `container ${id}`);
    writeFileSync(join(folder, 'config.json'), JSON.stringify(config), { mode: 0o600 });
    writeFileSync(join(folder, factsFile), JSON.stringify(facts), { mode: 0o600 });
    return folder;
  }

  makeExecFolder(id: string, process: unknown): string {
    const folder = this.execFolder(id);
    makeFolder(folder, `exec ${id}`);
    writeFileSync(join(folder, 'process.json'), JSON.stringify(process), { mode: 0o600 });
    return folder;
  }

  facts(id: string): ContainerFacts | undefined {
    const text = readText(join(this.bundle(id), factsFile));
    return text === undefined ? undefined : decodeFacts(text);
  }

  /** The init's pid as the runtime wrote it. */
  pid(id: string): number | undefined {
    const pid = Number(readText(join(this.bundle(id), 'pid')));
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  }

  /** The time of a start is kept as the modification time of the facts: one call instead of one more file. */
  markStarted(id: string, time: Date): void {
    utimesSync(join(this.bundle(id), factsFile), time, time);
  }

  startedAt(id: string): Date {
    return statSync(join(this.bundle(id), factsFile)).mtime;
  }

  /** A runtime's fifo in front of a container that was created and not started. */
  execFifo(id: string): string {
    return join(this.stateOf(id), 'exec.fifo');
  }

  /** conmon may be at its last words still, and remove its socket beside us. */
  removeBundle(id: string): void {
    removeFolder(this.bundle(id));
  }

  removeState(id: string): void {
    removeFolder(this.stateOf(id));
  }

  /** Execs are forgotten with the daemon that started them. */
  removeExecs(): void {
    for (const id of readdirSync(this.#execs)) removeFolder(join(this.#execs, id));
  }

  removeExec(id: string): void {
    removeFolder(this.execFolder(id));
  }
}

function makeFolder(path: string, what: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (isErrno(error, 'EEXIST')) throw new EngineError('already-exists', `create ${what}: it exists`);
    throw error;
  }
}

function isName(id: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(id);
}

/** IDs come from the engine, but they become paths and arguments here. */
function checkedName(id: string): string {
  if (isName(id)) return id;
  throw new EngineError('invalid-argument', `runtime: ${JSON.stringify(id)} is not an ID`);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path).toString();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Undefined for a file cut short by a crash. */
function decodeFacts(text: string): ContainerFacts | undefined {
  try {
    const value = JSON.parse(text) as Record<string, unknown> | null;
    if (typeof value?.['cgroupPath'] !== 'string') return undefined;
    return {
      terminal: value['terminal'] === true,
      openStdin: value['openStdin'] === true,
      stdinOnce: value['stdinOnce'] === true,
      cgroupPath: value['cgroupPath'],
      ...decodeRuntime(value['runtime']),
    };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function decodeRuntime(value: unknown): Pick<ContainerFacts, 'runtime'> {
  const { name, path, args, wrapperPath } = (value ?? {}) as Record<string, unknown>;
  if (typeof name !== 'string' || typeof path !== 'string') return {};
  const own = Array.isArray(args) ? args.filter((item) => typeof item === 'string') : [];
  return { runtime: { name, path, args: own, ...(typeof wrapperPath === 'string' ? { wrapperPath } : {}) } };
}
