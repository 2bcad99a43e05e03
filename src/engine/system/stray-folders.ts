import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '#errdefs';
import { unmountBelow } from '#mount';
import type { EngineContext } from '../context.ts';

/** Folders of work that has ended or never began: build contexts, files of build steps, files of containers without a record. */
export async function strayFolders(ctx: EngineContext): Promise<string[]> {
  const [contexts, steps, containers] = await Promise.all([
    entries(join(ctx.root, 'tmp')),
    entries(join(ctx.execRoot, 'steps')),
    entries(join(ctx.root, 'containers')),
  ]);
  const known = new Set([
    ...ctx.buildFolders,
    ...[...ctx.buildSteps].map((id) => join(ctx.execRoot, 'steps', id)),
    ...[...ctx.containers.all()].map((container) => join(ctx.root, 'containers', container.id)),
    ...[...ctx.metadata.journal.containers()].map((id) => join(ctx.root, 'containers', id)),
  ]);
  return [...contexts, ...steps, ...containers].filter((folder) => !known.has(folder));
}

/** The start-up pass, before any work: whatever is there was left by a crash. */
export async function removeStrayFolders(ctx: EngineContext): Promise<void> {
  // A cache mount that a step had is not to be emptied through it.
  await unmountBelow(join(ctx.execRoot, 'steps'));
  for (const folder of await strayFolders(ctx)) await rm(folder, { recursive: true, force: true });
}

async function entries(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).map((name) => join(folder, name));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
