import { join, sep } from 'node:path';
import { delay } from '#concurrency';
import { mountsBelow } from '#mount';
import type { EngineContext } from '../context.ts';
import { asideVolumes } from '../trash/index.ts';
import { rememberDamage } from './damage.ts';
import { strayFolders } from './stray-folders.ts';

/** Longer than a start or an exit takes. */
const secondLookMs = 1000;

/** Keys of the views that builds read from. */
const isBuildKey = (key: string) => key.startsWith('build-');

/**
 * Rehashes every blob and cross-checks rows, files, references, snapshots, volumes and what containers hold in the kernel; one line per
 * fault, none when all is well. May run beside work.
 */
export async function* verifyEngine(
  ctx: EngineContext,
  options: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<string> {
  yield* ctx.metadata.verify(options);
  await rememberDamage(ctx);
  yield* lasting(() => verifyHeld(ctx), options);
}

/** A container's parts come and go one after the other, its record between them: only what is found twice is a fault. */
async function* lasting(
  find: () => AsyncIterable<string>,
  options: { signal?: AbortSignal | undefined },
): AsyncGenerator<string> {
  const first = new Set(await Array.fromAsync(find()));
  if (first.size === 0) return;
  await delay(secondLookMs, options);
  for await (const fault of find()) if (first.has(fault)) yield fault;
}

async function* verifyHeld(ctx: EngineContext): AsyncGenerator<string> {
  const containers = [...ctx.containers.all()];
  const running = containers.filter((container) => container.isUp).map((container) => container.id);
  const inUse = new Set([...running, ...ctx.buildSteps]);
  yield* verifySnapshots(ctx, new Set([...containers.map(({ id }) => id), ...ctx.metadata.journal.containers()]));
  yield* verifyMounts(ctx, inUse);
  yield* ctx.runtime.verify(inUse);
  yield* ctx.networks.verify(inUse);
  yield* ctx.volumes.verify(asideVolumes(ctx));
  yield* ctx.cacheMounts.verify();
  for (const folder of await strayFolders(ctx)) yield `${folder}: left by an earlier run`;
}

async function* verifySnapshots(ctx: EngineContext, containers: ReadonlySet<string>): AsyncGenerator<string> {
  const keys = new Set((await ctx.snapshots.list()).map((snapshot) => snapshot.key));
  for (const key of keys) {
    if (!containers.has(key) && !ctx.buildSteps.has(key) && !isBuildKey(key))
      yield `snapshot ${key}: no container has it`;
  }
  for (const id of containers) if (!keys.has(id)) yield `container ${id}: its snapshot is missing`;
}

/** Snapshots are mounted below the run root; the data root has mounts only where somebody put a volume on a disk of its own. */
function* verifyMounts(ctx: EngineContext, inUse: ReadonlySet<string>): Generator<string> {
  const snapshots = join(ctx.execRoot, 'mounts');
  for (const { target } of mountsBelow(snapshots)) {
    const key = target.slice(snapshots.length + 1).split(sep)[0] ?? '';
    if (!inUse.has(key) && !isBuildKey(key)) yield `mount ${target}: nothing that runs has it`;
  }
  const isElsewhere = (target: string) =>
    target === ctx.root || [ctx.execRoot, join(ctx.root, 'volumes')].some((folder) => target.startsWith(folder + sep));
  for (const { target } of mountsBelow(ctx.root)) {
    if (!isElsewhere(target)) yield `mount ${target}: nothing in a data root is mounted`;
  }
}
