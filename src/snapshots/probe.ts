import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesFromUtf8, endOfArchive, packHeader, packPadding } from '#archive';
import { messageOf } from '#errdefs';
import {
  type ErofsBacking,
  mountErofs,
  mountFuseOverlay,
  mountMapped,
  mountMappedOverlay,
  mountOverlay,
  type OverlaySpec,
  unmount,
  unmountBelow,
} from '#mount';
import { sys } from '#sys';
import { AbortFlag } from './abort-flag.ts';
import { statOf } from './attributes.ts';
import { BtrfsTrees } from './btrfs-trees.ts';
import { indexLayer } from './index-layer.ts';
import { removes } from './marks.ts';
import { missingTools } from './tools.ts';
import type { Trees } from './trees.ts';
import type { DriverName } from './types.ts';
import { SnapshotWorkers } from './workers.ts';
import { ZfsTrees, zfsRefusal } from './zfs-trees.ts';

/** A kernel's answer to a trial: undefined when it works, else why not. */
export type Refusal = string | undefined;

const content = 'probe';
/** BTRFS_SUPER_MAGIC, of statfs(2). */
const btrfsMagic = 0x9123683e;

/** Mounts an index over its tar inside the data root, and an overlay with an upper folder above both. */
export async function probeErofs(root: string, backing: ErofsBacking, directIO = false): Promise<Refusal> {
  return await tryIn(root, async (folder) => {
    const [tar, index, layer] = [join(folder, 'layer.tar'), join(folder, 'layer.erofs'), join(folder, 'layer')];
    const header = packHeader({ type: 'file', path: 'file', mode: 0o644, sizeBytes: content.length });
    await writeFile(tar, Buffer.concat([header, Buffer.from(content), packPadding(content.length), endOfArchive]));
    indexLayer({ tar, tag: 'probe', index }, new AbortFlag());
    await mkdir(layer);
    await mountErofs({ image: index, devices: [tar], target: layer, directIO }, backing);
    await tryOverlay(folder, layer);
  });
}

/** Mounts an overlay of two plain folders inside the data root. */
export async function probeOverlay(root: string): Promise<Refusal> {
  return await tryIn(root, async (folder) => {
    const layer = join(folder, 'layer');
    await mkdir(layer);
    await writeFile(join(layer, 'file'), content);
    await tryOverlay(folder, layer);
  });
}

/** The same by a process in place of the kernel. */
export async function probeFuseOverlay(root: string): Promise<Refusal> {
  const missing = missingTools(['fuse-overlayfs']);
  if (missing !== undefined) return missing;
  return await tryIn(root, async (folder) => {
    const layer = join(folder, 'layer');
    await mkdir(layer);
    await writeFile(join(layer, 'file'), content);
    await tryOverlay(folder, layer, mountFuseOverlay);
  });
}

/** Makes a subvolume inside the data root, clones it and removes both. */
export async function probeBtrfs(root: string): Promise<Refusal> {
  if (sys.statfs(root).type !== btrfsMagic) return 'the data root is not on btrfs';
  const missing = missingTools(['btrfs']);
  if (missing !== undefined) return missing;
  return await tryIn(root, async (folder) => {
    await using workers = new SnapshotWorkers();
    await tryTrees(folder, new BtrfsTrees(root, workers));
  });
}

/** Makes a dataset inside the data root's, clones it and destroys both. */
export async function probeZfs(root: string): Promise<Refusal> {
  const refusal = zfsRefusal();
  if (refusal !== undefined) return refusal;
  return await tryIn(root, async (folder) => {
    await using workers = new SnapshotWorkers();
    await tryTrees(folder, await ZfsTrees.open(root, workers));
  });
}

async function tryTrees(folder: string, trees: Trees): Promise<void> {
  await trees.create(join(folder, 'tree'));
  await writeFile(join(folder, 'tree', 'file'), content);
  await trees.clone(join(folder, 'tree'), join(folder, 'clone'));
  const read = await readFile(join(folder, 'clone', 'file'), 'utf8');
  await trees.remove(folder);
  if (read !== content) throw new Error('a file reads wrong in a clone');
}

/** Shows an overlay of plain folders inside the data root, or a plain folder, as what this user namespace makes of its IDs, and writes through it. */
export async function probeMapped(
  root: string,
  { userNamespace, driver }: { userNamespace: number; driver: DriverName },
): Promise<Refusal> {
  if (driver === 'fuse-overlayfs') return 'the storage driver fuse-overlayfs cannot do so';
  const overlay = driver === 'erofs' || driver === 'overlay2';
  return await tryIn(root, async (folder) => {
    const [layer, upper, work, target] = ['layer', 'upper', 'work', 'merged'].map((name) => join(folder, name));
    for (const path of [layer!, upper!, work!, target!]) await mkdir(path);
    await writeFile(join(layer!, 'file'), content);
    const spec = { lowers: [layer!], writable: { upper: upper!, work: work!, volatile: true }, target: target! };
    if (overlay) await mountMappedOverlay(spec, { userNamespace, staging: join(folder, 'ids') });
    else mountMapped(layer!, target!, { userNamespace });
    const { uid } = sys.lstat(join(target!, 'file'));
    if (uid === 0) throw new Error('a file is shown as its owner on the disk');
    await chmod(join(target!, 'file'), 0o600);
    await unlink(join(target!, 'file'));
  });
}

/** Reads through the overlay, and removes through it: the upper folder must take whiteouts. */
async function tryOverlay(
  folder: string,
  layer: string,
  mount: (spec: OverlaySpec) => void | Promise<void> = mountOverlay,
): Promise<void> {
  const [upper, work, target] = [join(folder, 'upper'), join(folder, 'work'), join(folder, 'merged')];
  for (const path of [upper, work, target]) await mkdir(path);
  await mount({ lowers: [layer], writable: { upper, work, volatile: true }, target });
  const read = await readFile(join(target, 'file'), 'utf8');
  if (read !== content) throw new Error('a file reads wrong through the overlay');
  await unlink(join(target, 'file'));
  await unmount(target);
  const place = bytesFromUtf8(upper);
  if (!removes(place, 'file', statOf(`${place}/file`), mount === mountFuseOverlay ? 'fuse' : 'kernel'))
    throw new Error('the upper folder takes no whiteouts');
}

const folderPrefix = '.probe-';

/** Trials that a process was killed in. The caller owns the data root. */
export async function removeTrials(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    if (!name.startsWith(folderPrefix)) continue;
    await unmountBelow(join(root, name));
    await rm(join(root, name), { recursive: true, force: true });
  }
}

async function tryIn(root: string, work: (folder: string) => Promise<void>): Promise<Refusal> {
  const folder = join(root, `${folderPrefix}${randomBytes(6).toString('hex')}`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await work(folder);
    return undefined;
  } catch (error) {
    return messageOf(error);
  } finally {
    await unmountBelow(folder);
    await rm(folder, { recursive: true, force: true });
  }
}
