import type { TrashEmptied, UndoItem, UndoneItem } from '#api-types';
import { EngineError } from '#errdefs';
import type { JournalEntry, Restored } from '#metadata';
import { familiarString, parseReference } from '#reference';
import type { AsideVolume } from '#volume';
import { Container } from '../containers/container.ts';
import { emitContainer } from '../containers/events.ts';
import type { ContainerBody } from '../containers/record.ts';
import type { EngineContext } from '../context.ts';
import { formatMs } from '../time.ts';

/** Volumes whose folders are kept. */
export function asideVolumes(ctx: EngineContext): AsideVolume[] {
  return ctx.metadata.journal.volumes().map(({ number, name }) => ({ label: `${number}`, name }));
}

/** What can be brought back, newest first. */
export async function listUndo(ctx: EngineContext): Promise<UndoItem[]> {
  const entries = ctx.metadata.journal.list().toReversed();
  const sizes = await ctx.trash.sizes();
  return entries.map((entry) => shown(ctx, entry, sizes.get(entry.number) ?? 0));
}

function shown(ctx: EngineContext, entry: JournalEntry, sizeBytes: number): UndoItem {
  const { number, action, subject, atMs, kept } = entry;
  return {
    Number: number,
    Action: action,
    Subject: subject,
    Removed: formatMs(atMs),
    Expires: formatMs(atMs + ctx.trash.graceMs),
    Size: sizeBytes,
    Kept: kept.map(({ kind, key, name }) => ({ Kind: kind, ID: key, Name: name ?? key })),
  };
}

/**
 * Brings back what one call removed, or the last ones, newest first; ends at the first that cannot come back.
 * @throws `not-found`; `conflict` when a name of it is taken or something it stands on was removed later.
 */
export async function undo(
  ctx: EngineContext,
  { number, count }: { number?: number; count?: number } = {},
): Promise<UndoneItem[]> {
  if (number !== undefined && count !== undefined)
    throw new EngineError('invalid-argument', 'undo: a number and a count exclude each other');
  return await ctx.trash.alone(async () => {
    const done: UndoneItem[] = [];
    for (const entry of chosen(ctx, number, count ?? 1)) done.push(await bringBack(ctx, entry));
    return done;
  });
}

function chosen(ctx: EngineContext, number: number | undefined, count: number): readonly JournalEntry[] {
  const { journal } = ctx.metadata;
  if (number !== undefined) {
    const entry = journal.get(number);
    if (!entry) throw new EngineError('not-found', `undo ${number}: nothing of that number is kept`);
    return [entry];
  }
  const entries = journal.list().slice(-count).toReversed();
  if (entries.length === 0) throw new EngineError('not-found', 'undo: nothing is kept that could be brought back');
  return entries;
}

async function bringBack(ctx: EngineContext, entry: JournalEntry): Promise<UndoneItem> {
  using claimed = new DisposableStack();
  for (const { kind, key, name } of entry.kept) {
    if (kind !== 'container' || name === undefined) continue;
    const held = ctx.containers.ownerOf(name);
    if (held !== undefined) throw nameInUse(entry.number, name, held);
    ctx.containers.claimName(name, key);
    claimed.defer(() => ctx.containers.releaseName(name));
  }
  const volumes = entry.kept.flatMap(({ kind, key }) => (kind === 'volume' ? [key] : []));
  const back: { restored?: Restored } = {};
  await ctx.volumes.bringBack(volumes, `${entry.number}`, async () => {
    back.restored = await ctx.metadata.journal.restore(entry.number);
  });
  const restored = back.restored!;
  claimed.move();
  for (const { id, name, body } of restored.containers) {
    const container = new Container(id, name, body as ContainerBody);
    ctx.containers.add(container);
    emitContainer(ctx, container, 'create');
  }
  tell(ctx, restored);
  return {
    Number: entry.number,
    Action: entry.action,
    Subject: entry.subject,
    Restored: restoredItems(restored),
    Notes: restored.notes,
  };
}

function nameInUse(number: number, name: string, id: string): EngineError {
  const fact = `the container name "${name}" is in use by ${id}: remove or rename that one first`;
  return new EngineError('conflict', `undo ${number}: ${fact}`);
}

function tell(ctx: EngineContext, { names, volumes }: Restored): void {
  for (const { name, imageID } of names) {
    const attributes = { ...ctx.metadata.images.get(imageID)?.labels, name: familiarString(parseReference(name)) };
    ctx.events.emit({ type: 'image', action: 'tag', id: imageID, attributes });
  }
  for (const name of volumes) {
    ctx.events.emit({ type: 'volume', action: 'create', id: name, attributes: { driver: 'local' } });
  }
}

function restoredItems({ images, names, containers, volumes, cacheKeys }: Restored): UndoneItem['Restored'] {
  return [
    ...images.map((ID) => ({ Kind: 'image' as const, ID, Name: ID })),
    ...names.map(({ name, imageID }) => ({
      Kind: 'name' as const,
      ID: imageID,
      Name: familiarString(parseReference(name)),
    })),
    ...containers.map(({ id, name }) => ({ Kind: 'container' as const, ID: id, Name: name })),
    ...volumes.map((name) => ({ Kind: 'volume' as const, ID: name, Name: name })),
    ...cacheKeys.map((ID) => ({ Kind: 'build-cache' as const, ID, Name: ID })),
  ];
}

/** Frees all that is kept; answers when it is free. */
export async function emptyTrash(ctx: EngineContext): Promise<TrashEmptied> {
  return { SpaceFreed: await ctx.trash.empty() };
}
