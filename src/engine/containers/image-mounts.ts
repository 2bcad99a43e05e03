import { isKind } from '#errdefs';
import { log } from '#log';
import type { EngineContext } from '../context.ts';
import { resolveImage } from '../images/resolve.ts';
import { remapOf } from '../remap/index.ts';
import type { Container } from './container.ts';
import type { PlannedMount } from './record.ts';

/**
 * `--mount type=image`: the files of an image, read-only, at a path of the container. The container's record keeps the layers alive, as for its
 * own root; a view of them is made at its start and goes with its end.
 */
type ImageMount = Extract<PlannedMount, { kind: 'image' }>;

/** Fills in which image each of them is. @throws `not-found` in Docker's words, upon which its client pulls the image. */
export function resolveImageMounts(ctx: EngineContext, mounts: readonly PlannedMount[]): PlannedMount[] {
  return mounts.map((mount) =>
    mount.kind === 'image' && mount.chain.length === 0
      ? { ...mount, chain: resolveImage(ctx, mount.name).diffIDs }
      : mount,
  );
}

/** Makes their layers mountable. */
export async function unpackImageMounts(ctx: EngineContext, mounts: readonly PlannedMount[]): Promise<void> {
  for (const mount of mounts) if (mount.kind === 'image') await ctx.snapshots.unpack(mount.chain);
}

function* imageMounts({ id, body }: Container): Generator<{ key: string; number: number; mount: ImageMount }> {
  for (const [number, mount] of body.mounts.entries()) {
    if (mount.kind === 'image') yield { key: `${id}-image-${number}`, number, mount };
  }
}

/** The keys of the views of a container that runs. */
export function imageMountKeys(container: Container): string[] {
  return Array.from(imageMounts(container), ({ key }) => key);
}

/** Mounts them; from here on the container's record says where. */
export async function mountImages(ctx: EngineContext, container: Container): Promise<void> {
  const mounts = [...container.body.mounts];
  for (const { key, number, mount } of imageMounts(container)) {
    // Of a start that a crash cut off.
    await ctx.snapshots.remove(key);
    if (mount.readOnly) await ctx.snapshots.view(key, mount.chain);
    else await ctx.snapshots.prepare(key, mount.chain, { ephemeral: true });
    const { root } = await ctx.snapshots.mount(key, remapOf(ctx, container.body.hostConfig));
    mounts[number] = { ...mount, source: root };
  }
  container.body = { ...container.body, mounts };
}

export async function releaseImages(ctx: EngineContext, container: Container): Promise<void> {
  for (const key of imageMountKeys(container)) await ctx.snapshots.remove(key);
}

export async function adoptImages(ctx: EngineContext, container: Container): Promise<void> {
  for (const key of imageMountKeys(container)) {
    try {
      await ctx.snapshots.adopt(key);
    } catch (error) {
      if (!isKind(error, 'not-found')) throw error;
      log.warn('an image is not mounted any more', { container: container.id, view: key });
    }
  }
}

/** The files of one, for somebody else than the container. */
export async function viewImage(
  ctx: EngineContext,
  container: Container,
  mount: ImageMount,
): Promise<{ readonly root: string; readonly release: () => Promise<void> }> {
  const key = `view-${crypto.randomUUID()}`;
  await ctx.snapshots.view(key, mount.chain);
  const release = () => ctx.snapshots.remove(key);
  try {
    const { root } = await ctx.snapshots.mount(key, remapOf(ctx, container.body.hostConfig));
    return { root, release };
  } catch (error) {
    await release();
    throw error;
  }
}
