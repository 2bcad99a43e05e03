import { EngineError } from '#errdefs';
import type { ImageRecord } from '#metadata';
import type { EngineContext } from '../context.ts';
import { shortID } from '../ids.ts';
import { imagesBehind } from './platforms.ts';

/** Why an image may not be deleted. Hard ones stand against `force` too. */
export interface DeleteConflict {
  readonly hard: boolean;
  /** A container uses the image. */
  readonly used: boolean;
  readonly message: string;
}

/** The first conflict, hard ones before soft ones, as dockerd orders them; `ignore` names soft ones the caller handles itself. */
export function deleteConflict(
  ctx: EngineContext,
  image: ImageRecord,
  options: { force: boolean; ignoreNames?: boolean },
): DeleteConflict | undefined {
  if (ctx.metadata.images.childrenOf(image.id).length > 0) {
    return { hard: true, used: false, message: 'image has dependent child images' };
  }
  if (ctx.buildImages.has(image.id)) return { hard: true, used: true, message: 'image is being used by a build' };
  const running = containerUsing(ctx, image, { running: true });
  if (running) return usedConflict('running', running);
  if (options.force) return undefined;
  if (!options.ignoreNames && image.names.length + image.repoDigests.length > 0) {
    return { hard: false, used: false, message: 'image is referenced in multiple repositories' };
  }
  const stopped = containerUsing(ctx, image, { running: false });
  return stopped === undefined ? undefined : usedConflict('stopped', stopped);
}

export function usedConflict(state: 'running' | 'stopped', containerID: string): DeleteConflict {
  const message = `image is being used by ${state} container ${shortID(containerID)}`;
  return { hard: state === 'running', used: true, message };
}

export function conflictError(image: ImageRecord, conflict: DeleteConflict): EngineError {
  const force = conflict.hard ? 'cannot be forced' : 'must be forced';
  return new EngineError(
    'conflict',
    `conflict: unable to delete ${shortID(image.id)} (${force}) - ${conflict.message}`,
  );
}

/** The ID of a container of this image, or of another platform that it stands for; running ones only when asked so. */
export function containerUsing(
  ctx: EngineContext,
  image: ImageRecord,
  options: { running?: boolean } = {},
): string | undefined {
  const ids = new Set<string>([image.id, ...imagesBehind(ctx, image).map(({ id }) => id)]);
  for (const container of ctx.containers.all()) {
    if (!ids.has(container.body.imageID)) continue;
    if (options.running === undefined || container.isRunning === options.running) return container.id;
  }
  return undefined;
}

/** A container of this very platform's image, a running one first. */
export function containerOf(ctx: EngineContext, { id }: ImageRecord): { id: string; isRunning: boolean } | undefined {
  const users = [...ctx.containers.all()].filter(({ body }) => body.imageID === id);
  return users.find(({ isRunning }) => isRunning) ?? users[0];
}
