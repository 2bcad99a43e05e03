import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cleanup } from '#concurrency';
import { EngineError } from '#errdefs';
import { resolveInRoot } from '#files';
import { type DiffID, digestOf } from '#oci';
import type { BindMount, CacheMount, CopyFrom, RunOperation } from '../convert/index.ts';
import type { Work } from '../solver/index.ts';
import type { KeptMount, StepMount } from '../types.ts';
import { type ContextLayer, contextLayer } from './context-layer.ts';
import type { Moment } from './moment.ts';
import { componentsDigest, fileComponents, type Selected, timesDigest } from './selection.ts';
import { type BuildSession, chainOf } from './session.ts';
import { type SourceTree, statPath, toBytes } from './source-tree.ts';
import type { StepState } from './state.ts';
import { snapshotKey } from './views.ts';

type ContextFrom = Extract<CopyFrom, { kind: 'context' }>;
type Key = Readonly<Record<string, unknown>>;

/** What mounts add to a step's cache key: the files that are bound, and the shape of the rest. What a cache holds never counts. */
export async function mountsKey(
  session: BuildSession,
  operation: RunOperation,
  inputs: readonly StepState[],
  work: Work,
): Promise<{ mounts?: readonly Key[] }> {
  if (operation.mounts.length === 0) return {};
  const sources = new Sources(session, inputs, work);
  const keys: Key[] = [];
  for (const mount of operation.mounts) {
    if (mount.kind === 'bind') {
      keys.push({ ...mount, from: mount.from.kind, content: await sources.contentOf(mount.from, mount.source) });
    } else if (mount.kind === 'cache' && mount.seed) {
      const content = await sources.contentOf(mount.seed.from, mount.seed.source);
      keys.push({ ...mount, seed: { source: mount.seed.source, content } });
    } else keys.push({ ...mount });
  }
  return { mounts: keys };
}

/** The mounts of one RUN, made: folders of the machine, there until it is disposed. */
export class RunMounts implements AsyncDisposable {
  readonly mounts: readonly StepMount[];
  /** The same, for when they are gone. */
  readonly kept: readonly KeptMount[];
  readonly #held: AsyncDisposableStack;

  private constructor(made: readonly MadeMount[], held: AsyncDisposableStack) {
    this.mounts = made.map(({ mount }) => mount);
    this.kept = made.map(({ kept }) => kept);
    this.#held = held;
  }

  static async prepare(
    session: BuildSession,
    operation: RunOperation,
    inputs: readonly StepState[],
    work: Work,
  ): Promise<RunMounts> {
    await using held = new AsyncDisposableStack();
    const sources = new Sources(session, inputs, work);
    const made: MadeMount[] = [];
    for (const mount of operation.mounts) {
      if (mount.kind === 'tmpfs') made.push({ mount, kept: mount });
      else if (mount.kind === 'bind') made.push(await makeBind(session, sources, mount, held));
      else made.push(await makeCache(session, sources, mount, operation, held));
    }
    return new RunMounts(made, held.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held.disposeAsync();
  }
}

interface MadeMount {
  readonly mount: StepMount;
  readonly kept: KeptMount;
}

/** The build's view of the layers where one will do; else a snapshot that goes with the step, under the IDs that the step runs with. */
async function makeBind(
  session: BuildSession,
  sources: Sources,
  bind: BindMount,
  held: AsyncDisposableStack,
): Promise<MadeMount> {
  const { target, readOnly } = bind;
  const place = await sources.locate(bind.from, bind.source);
  const source = await bindSource(session, { ...place, sources, readOnly }, held);
  const from = bind.from.kind === 'stage' ? `stage ${bind.from.stage}` : 'context';
  const kept = { ...place, from: bind.from.kind === 'image' ? bind.from.reference : from };
  return { mount: { kind: 'bind', source, target, readOnly }, kept: { kind: 'bind', ...kept, target, readOnly } };
}

async function bindSource(
  session: BuildSession,
  { chain, source, sources, readOnly }: ContextLayer & { sources: Sources; readOnly: boolean },
  held: AsyncDisposableStack,
): Promise<string> {
  const { snapshots, userNamespace } = session.host;
  if (readOnly && userNamespace === undefined) return await sources.folder(chain, source);
  await snapshots.unpack(chain, sources.work);
  const key = snapshotKey();
  held.defer(() => cleanup(`build mount ${key}`, () => snapshots.remove(key)));
  if (readOnly) await snapshots.view(key, chain);
  else await snapshots.prepare(key, chain, { ephemeral: true });
  return await within((await snapshots.mount(key, { userNamespace })).root, source);
}

async function makeCache(
  session: BuildSession,
  sources: Sources,
  mount: CacheMount,
  operation: RunOperation,
  held: AsyncDisposableStack,
): Promise<MadeMount> {
  const { id, sharing, mode, uid, gid, seed, target, readOnly } = mount;
  const from = seed && (await sources.locate(seed.from, seed.source));
  const description = `cached mount ${target} from exec ${operation.shownCommand}`;
  const wish = { id, sharing, mode, uid, gid, description };
  const seeded = from && {
    identity: digestOf(Buffer.from(JSON.stringify([from.chain, from.source]))),
    folder: await sources.folder(from.chain, from.source),
  };
  const lent = await session.host.cacheMount({ ...wish, ...(seeded ? { seed: seeded } : {}) }, sources.work);
  const { path, name } = held.use(lent);
  return {
    mount: { kind: 'bind', source: path, target, readOnly },
    kept: { kind: 'cache', name, path, wish, target, readOnly },
  };
}

/** Where mounts find their files. The first input is the state before the step, the others are what mounts name, in their order. */
class Sources {
  readonly work: Work;
  readonly #session: BuildSession;
  readonly #others: StepState[];
  readonly #moment: Moment;

  constructor(session: BuildSession, inputs: readonly StepState[], work: Work) {
    this.#session = session;
    this.#others = inputs.slice(1);
    this.#moment = session.momentOf(inputs.slice(0, 1));
    this.work = work;
  }

  /** One digest over what is at `source`; with times where those are not the checkout's. */
  async contentOf(from: CopyFrom, source: string): Promise<string> {
    const isContext = from.kind === 'context';
    const selected =
      from.kind === 'context'
        ? await this.#inContext(from, source)
        : await find(await this.#session.views.tree(chainOf(await this.#next()), this.work), source);
    const files = await fileComponents([selected], { withOwners: !isContext, signal: this.work.signal });
    const content = componentsDigest(files);
    if (isContext || this.#moment === undefined) return content;
    return `${content} ${await timesDigest([selected], { moment: this.#moment, signal: this.work.signal })}`;
  }

  /** The layers that hold the files, and where in them they are. */
  async locate(from: CopyFrom, source: string): Promise<{ chain: readonly DiffID[]; source: string }> {
    if (from.kind !== 'context') return { chain: chainOf(await this.#next()), source };
    const { contextLayers } = this.#session;
    const name = `${this.#moment} ${from.name ?? ''}:${source}`;
    const layer =
      contextLayers.get(name) ??
      contextLayer(this.#session, await this.#inContext(from, source), this.#moment, this.work);
    contextLayers.set(name, layer);
    return await layer;
  }

  async #inContext({ name }: ContextFrom, source: string): Promise<Selected> {
    const tree = await this.#session.contexts.get(name);
    return await find(tree, source, 'file not found in build context or excluded by .dockerignore: ');
  }

  async folder(chain: readonly DiffID[], source: string): Promise<string> {
    if (chain.length > 0) return await within(await this.#session.views.root(chain, this.work), source);
    const empty = join(this.#session.request.scratchDir, `empty-${randomBytes(4).toString('hex')}`);
    await mkdir(empty, { mode: 0o755 });
    return await within(empty, source);
  }

  async #next(): Promise<StepState> {
    const state = this.#others.shift();
    if (!state) throw new EngineError('internal', 'run mounts: an input is missing');
    await this.#session.recorder.hold(state);
    return state;
  }
}

/** @throws `not-found` in the words of COPY. */
async function find(tree: SourceTree, source: string, missingPrefix = ''): Promise<Selected> {
  const found = await statPath(tree, toBytes(source));
  if (!found) throw new EngineError('not-found', `${missingPrefix}stat ${source}: file does not exist`);
  return { tree, path: found.path, resolved: found.path, node: found.node, shownHash: '' };
}

/** @throws `not-found` */
async function within(root: string, source: string): Promise<string> {
  const path = await resolveInRoot(root, source);
  if (!existsSync(path)) throw new EngineError('not-found', `mount source ${source} does not exist`);
  return path;
}
