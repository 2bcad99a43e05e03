import { randomBytes } from 'node:crypto';
import { type ByteString, endOfArchive, packHeader, packPadding, readTar } from '#archive';
import { cleanup } from '#concurrency';
import { ExitError } from '#errdefs';
import type { StoredLayer } from '#image';
import type { DiffID } from '#oci';
import { dockerMountPoints } from '#snapshots';
import type { ByteSource } from '#streams';
import type { RunOperation } from '../convert/index.ts';
import type { Work } from '../solver/index.ts';
import type { EndedStep, KeptMount, KeptStep, StepMount, StepRun } from '../types.ts';
import { clampAt, environmentAt, type Moment } from './moment.ts';
import { MountPoints } from './mount-points.ts';
import type { StepReport } from './report.ts';
import { type BuildSession, chainOf } from './session.ts';
import { cleanTreePath, toBytes } from './source-tree.ts';
import type { StepState } from './state.ts';

/** A RUN whose mounts are there, at its moment. */
export type MountedRun = RunOperation & {
  readonly made: readonly StepMount[];
  readonly kept: readonly KeptMount[];
  readonly secretEnv: readonly string[];
  readonly moment: Moment;
};

const whiteout = '.wh.';
const opaqueMarker = '.wh..wh..opq';

/**
 * Runs a command above a state and answers the layer it left, or undefined when it changed nothing. The snapshot is gone when this returns, unless the
 * step's container was asked to stay.
 * @throws ExitError with Docker's message when the command fails
 */
export async function runCommand(
  session: BuildSession,
  parent: StepState,
  operation: MountedRun,
  work: Work,
): Promise<StoredLayer | undefined> {
  const { snapshots, steps } = session.host;
  const chain = chainOf(parent);
  await snapshots.unpack(chain, { signal: work.signal });
  const id = randomBytes(32).toString('hex');
  let kept = false;
  let released = Promise.resolve();
  steps.add(id);
  const mounted = mountRoot(session, { id, chain, operation });
  const root = mounted.then((made) => made.root);
  try {
    const ended = await execute(session, { id, root, operation }, work);
    const { points } = await mounted;
    await showOwnIDs(session, id, ended);
    const { isEmpty, isLeftOut } = await layerOf(session, id, points);
    released = release(session, id, ended);
    kept = await keepIfAsked(session, parent, operation, { ...ended, released });
    if (kept) work.report({ kind: 'kept', id } satisfies StepReport);
    requireSuccess(operation, ended.exitCode);
    if (!kept) work.report({ kind: 'removed', id } satisfies StepReport);
    if (isEmpty) return undefined;
    const clamp = clampAt(operation.moment, ended.startedAtMs);
    const diff = snapshots.diff(id, { signal: work.signal, clamp, lend: !isLeftOut });
    return await session.ingest(isLeftOut ? without(diff, isLeftOut) : diff, work);
  } finally {
    // A step may have failed beside the mounting, and then nobody has waited for it.
    await Promise.allSettled([root, released]);
    if (!kept) await cleanup(`build snapshot ${id}`, () => snapshots.remove(id));
    steps.delete(id);
  }
}

interface MountedRoot {
  readonly root: string;
  readonly points: MountPoints;
}

/** The builder itself works with the IDs of the disk; while the step runs, its root is shown under those it runs with. */
async function mountRoot(
  { host: { snapshots, userNamespace } }: BuildSession,
  { id, chain, operation }: { id: string; chain: readonly DiffID[]; operation: MountedRun },
): Promise<MountedRoot> {
  await snapshots.prepare(id, chain, { ephemeral: true, mountPoints: dockerMountPoints });
  const { root } = await snapshots.mount(id);
  const points = await MountPoints.prepare(root, operation);
  if (userNamespace === undefined) return { root, points };
  await snapshots.unmount(id);
  const shown = await snapshots.mount(id, { userNamespace });
  return { root: shown.root, points };
}

async function showOwnIDs({ host }: BuildSession, id: string, { cleared }: Ended): Promise<void> {
  if (host.userNamespace === undefined) return;
  await cleared;
  await host.snapshots.unmount(id);
  await host.snapshots.mount(id);
}

/** Beside the reading of the layer: what a step leaves in its root is there when its last process has ended. */
async function release({ host: { snapshots } }: BuildSession, id: string, { cleared }: Ended): Promise<void> {
  await cleared;
  await cleanup(`root of build step ${id}`, () => snapshots.unmount(id));
}

interface LayerContent {
  readonly isEmpty: boolean;
  /** Absent when all of the snapshot's changes belong into the layer. */
  readonly isLeftOut?: (path: ByteString) => boolean;
}

/** Listing all changes takes about as long as reading them, so it is done only where something may have to be left out. */
async function layerOf({ host }: BuildSession, id: string, points: MountPoints): Promise<LayerContent> {
  if (!points.isNeeded) return { isEmpty: !(await host.snapshots.isChanged(id)) };
  const changes = (await host.snapshots.changes(id)).map((change) => change.path);
  const isLeftOut = await points.leftOut(changes);
  const paths = changes.map((path) => toBytes(path).slice(1));
  const isEmpty = paths.every(isLeftOut);
  return paths.some(isLeftOut) ? { isEmpty, isLeftOut } : { isEmpty };
}

type Ended = Pick<KeptStep, 'step' | 'exitCode' | 'startedAtMs' | 'finishedAtMs'> & Pick<EndedStep, 'cleared'>;

async function execute(
  session: BuildSession,
  { id, root, operation }: { id: string; root: Promise<string>; operation: MountedRun },
  work: Work,
): Promise<Ended> {
  const { request, host } = session;
  const report = (event: StepReport) => work.report(event);
  report({ kind: 'container', id });
  const step: StepRun = {
    id,
    rootfs: root,
    args: operation.args,
    env: environmentAt(operation.moment, operation.env),
    secretEnv: operation.secretEnv,
    cwd: operation.cwd,
    user: operation.user,
    networkMode: operation.networkMode,
    limits: request.limits,
    ...(request.shmSizeBytes === undefined ? {} : { shmSizeBytes: request.shmSizeBytes }),
    extraHosts: request.extraHosts,
    mounts: operation.made,
    onOutput: (stream, data) => report({ kind: 'output', stream, data: Buffer.from(data) }),
    onEnded: (durationMs) => report({ kind: 'command', durationMs }),
    signal: work.signal,
  };
  const startedAtMs = Date.now();
  const ended = await host.runStep(step);
  if (work.signal.aborted) await ended.cleared;
  work.signal.throwIfAborted();
  return { ...ended, step, startedAtMs, finishedAtMs: Date.now() };
}

/** Answers whether the step's container stays. The image below it has to be written by then. */
async function keepIfAsked(
  session: BuildSession,
  parent: StepState,
  { kept: mounts }: MountedRun,
  { released, ...ended }: Ended & { readonly released: Promise<void> },
): Promise<boolean> {
  const { keepSteps } = session.request;
  if (keepSteps === 'none' || (keepSteps === 'failed' && ended.exitCode === 0)) return false;
  await Promise.all([released, session.recorder.flush()]);
  const { imageID, config: image } = parent;
  await session.host.keepStep({ ...ended, imageID, image, chain: chainOf(parent), mounts });
  return true;
}

function requireSuccess({ shownCommand }: RunOperation, code: number): void {
  if (code === 0) return;
  const message = `The command '${shownCommand}' returned a non-zero code: ${code}`;
  throw new ExitError(message, { code, command: shownCommand });
}

/** A layer's tar without some of its paths. */
async function* without(layer: ByteSource, isLeftOut: (path: ByteString) => boolean): AsyncGenerator<Uint8Array> {
  for await (const item of readTar(layer)) {
    if (isLeftOut(subjectOf(cleanTreePath(item.path)))) continue;
    yield packHeader(item);
    if (item.type !== 'file' || item.sizeBytes === 0) continue;
    yield* item.body;
    yield packPadding(item.sizeBytes);
  }
  yield endOfArchive;
}

/** The path a tar entry is about: whiteouts name what they delete. */
function subjectOf(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/') + 1;
  const name = path.slice(slash);
  if (name === opaqueMarker) return path.slice(0, Math.max(slash - 1, 0));
  return name.startsWith(whiteout) ? path.slice(0, slash) + name.slice(whiteout.length) : path;
}
