import { basename } from 'node:path';
import { EngineError, messageOf } from '#errdefs';
import { findRuntime, probe } from './probe.ts';
import type { RuntimeInfo, RuntimeOptions, RuntimeProgram } from './types.ts';

/** containerd's name for the runtime that is runc. */
const shimName = 'io.containerd.runc.v2';
const stock = ['crun', 'runc'];

/** The runtimes a container may ask for by name. One beside the default is tried when it is first asked for. */
export class OtherRuntimes {
  readonly #default: RuntimeInfo;
  readonly #options: RuntimeOptions;
  readonly #programs: ReadonlyMap<string, RuntimeProgram>;
  readonly #probed = new Map<string, Promise<RuntimeInfo>>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(info: RuntimeInfo, options: RuntimeOptions) {
    this.#default = info;
    this.#options = options;
    const found = stock.map((name) => [name, findRuntime(name)] as const);
    const runc = found.find(([name]) => name === 'runc')?.[1];
    const programs = [...found, [shimName, runc] as const].flatMap(([name, path]) =>
      path === undefined ? [] : [[name, { path, args: [] }] as const],
    );
    this.#programs = new Map<string, RuntimeProgram>([
      ...programs,
      ...Object.entries(options.runtimes ?? {}),
      [info.shownName, { path: info.path, args: info.args }],
    ]);
  }

  get known(): ReadonlyMap<string, RuntimeProgram> {
    return this.#programs;
  }

  /** @throws `internal` when it does not run containers here. */
  async get(name: string | undefined): Promise<RuntimeInfo> {
    if (name === undefined || name === this.#default.shownName) return this.#default;
    const program = this.#programs.get(name);
    if (program === undefined) throw new EngineError('invalid-argument', `unknown or invalid runtime name: ${name}`);
    const known = this.#probed.get(name) ?? this.#probe(name, program);
    this.#probed.set(name, known);
    try {
      return await known;
    } catch (error) {
      this.#probed.delete(name);
      throw new EngineError('internal', `failed to create task for container: runtime ${name}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** One at a time: a trial takes away what it finds of earlier ones. */
  #probe(name: string, { path, args }: RuntimeProgram): Promise<RuntimeInfo> {
    const options = { runRoot: this.#options.runRoot, runtimePath: path, runtimeArgs: args, runtimeName: name };
    const probing = this.#last.then(async () => {
      const { info } = await probe(options);
      return { ...info, name: info.name || basename(path) };
    });
    this.#last = probing.catch(() => {});
    return probing;
  }
}
