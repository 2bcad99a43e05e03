import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBytes } from '#streams';
import { type BuildContext, ContextTree } from './executor/index.ts';
import { ListedTree } from './listed/index.ts';
import { remoteContext } from './remote-context.ts';
import type { BuilderHost, BuildRequest, ContextFiles } from './types.ts';

/** The contexts of one build, each opened when it is first asked for. Dispose lets go of those that were. */
export class Contexts implements AsyncDisposable {
  readonly #host: Pick<BuilderHost, 'lendSocket'>;
  readonly #request: BuildRequest;
  readonly #opened = new Map<string, Promise<BuildContext>>();
  readonly #needed = new Map<string, readonly string[]>();
  readonly #held = new AsyncDisposableStack();

  constructor(host: Pick<BuilderHost, 'lendSocket'>, request: BuildRequest) {
    this.#host = host;
    this.#request = request;
  }

  /** Says what will be read of a context, before it is opened; without it that may be anything. */
  need(name: string, paths: readonly string[]): void {
    this.#needed.set(name, paths);
  }

  /** The build's own context, or the one of that name. @throws what opening it throws */
  get(name = ''): Promise<BuildContext> {
    const here = this.#opened.get(name);
    if (here) return here;
    const opening = this.#open(name, this.#opened.size);
    this.#opened.set(name, opening);
    return opening;
  }

  async #open(name: string, number: number): Promise<BuildContext> {
    const named = this.#request.contexts?.get(name);
    const files = name === '' ? this.#request : named?.kind === 'files' ? named : { context: fromBytes() };
    return this.#held.use(await this.#openFiles(files, name, number));
  }

  async #openFiles(files: ContextFiles, name: string, number: number): Promise<BuildContext> {
    const { scratchDir, onProgress, signal, room, handedOver } = this.#request;
    const { listed, synced, remote, context, dropsGit = false } = files;
    const dataPath = join(scratchDir, `context-${number}`);
    const options = { dataPath, report: onProgress, signal };
    if (listed) return await ListedTree.open(listed.context, { ...options, memory: listed.memory });
    if (synced) {
      const folder = this.#held.use(await synced.folder.list(this.#needed.get(name), { signal }));
      return await ListedTree.open(folder, { ...options, memory: synced.memory });
    }
    if (!remote) return await ContextTree.read(context, dataPath, { signal });
    const folder = join(scratchDir, `remote-${number}`);
    await mkdir(folder, { mode: 0o700 });
    const help = { handedOver, lendSocket: this.#host.lendSocket };
    const tar = await remoteContext(remote, { folder, dropsGit, help, onProgress, signal, room });
    return await ContextTree.read(room?.ahead(tar) ?? tar, dataPath, { signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#opened.values());
    await this.#held.disposeAsync();
  }
}
