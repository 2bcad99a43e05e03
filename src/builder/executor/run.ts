import { randomBytes } from 'node:crypto';
import { type ByteString, endOfArchive, packHeader, packPadding, readTar } from '#archive';
import { cleanup } from '#concurrency';
import { ExitError } from '#errdefs';
import type { StoredLayer } from '#image';
import type { DiffID } from '#oci';
import type { ByteSource } from '#streams';
import type { RunOperation } from '../convert/index.ts';
import type { Work } from '../solver/index.ts';
import { MountPoints } from './mount-points.ts';
import type { StepReport } from './report.ts';
import type { BuildSession } from './session.ts';
import { cleanTreePath } from './source-tree.ts';
import { snapshotKey } from './views.ts';

const whiteout = '.wh.';
const opaqueMarker = '.wh..wh..opq';

/**
 * Runs a command above a chain and answers the layer it left, or undefined when it changed nothing. The snapshot is gone when this returns.
 * @throws ExitError with Docker's message when the command fails
 */
export async function runCommand(
  session: BuildSession,
  chain: readonly DiffID[],
  operation: RunOperation,
  work: Work,
): Promise<StoredLayer | undefined> {
  const { snapshots } = session.host;
  await snapshots.unpack(chain, { signal: work.signal });
  const key = snapshotKey();
  try {
    await snapshots.prepare(key, chain, { ephemeral: true });
    const { root } = await snapshots.mount(key);
    const points = await MountPoints.prepare(root, operation.volumes, operation.script);
    await execute(session, root, operation, work);
    const changes = (await snapshots.changes(key)).map((change) => change.path);
    const isLeftOut = await points.leftOut(changes);
    await snapshots.unmount(key);
    if (changes.every((path) => isLeftOut(Buffer.from(path).toString('latin1').slice(1)))) return undefined;
    const diff = snapshots.diff(key, { signal: work.signal });
    return await session.ingest(
      changes.some((path) => isLeftOut(path.slice(1))) ? without(diff, isLeftOut) : diff,
      work,
    );
  } finally {
    await cleanup(`build snapshot ${key}`, () => snapshots.remove(key));
  }
}

async function execute(session: BuildSession, root: string, operation: RunOperation, work: Work): Promise<void> {
  const { request, host } = session;
  const id = randomBytes(32).toString('hex');
  const report = (event: StepReport) => work.report(event);
  report({ kind: 'container', id });
  const code = await host.runStep({
    id,
    rootfs: root,
    args: operation.args,
    env: operation.env,
    cwd: operation.cwd,
    user: operation.user,
    networkMode: operation.networkMode,
    limits: request.limits,
    ...(request.shmSizeBytes === undefined ? {} : { shmSizeBytes: request.shmSizeBytes }),
    extraHosts: request.extraHosts,
    onOutput: (stream, data) => report({ kind: 'output', stream, data: Buffer.from(data) }),
    signal: work.signal,
  });
  work.signal.throwIfAborted();
  if (code === 0) {
    report({ kind: 'removed', id });
    return;
  }
  throw new ExitError(`The command '${operation.shownCommand}' returned a non-zero code: ${code}`, { code });
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
