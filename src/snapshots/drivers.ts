import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ErofsBacking } from '#mount';
import { BtrfsTrees } from './btrfs-trees.ts';
import { ErofsLayers } from './erofs-layers.ts';
import { IndexStore } from './index-store.ts';
import { OverlayDriver } from './overlay-driver.ts';
import { TreeDriver } from './tree-driver.ts';
import { CopiedTrees, type Trees } from './trees.ts';
import type { DriverOptions, SnapshotDriver } from './types.ts';
import { UnpackedLayers } from './unpacked-layers.ts';

import { SnapshotWorkers } from './workers.ts';
import { ZfsTrees } from './zfs-trees.ts';

type Status = readonly (readonly [string, string])[];

/** Layers as they came, indexed and mounted as they stand. */
export async function openErofs(
  options: DriverOptions,
  backing: ErofsBacking = 'file',
  { status = [], directIO = false }: { status?: Status; directIO?: boolean } = {},
): Promise<SnapshotDriver> {
  const workers = new SnapshotWorkers();
  const layers = new ErofsLayers({ ...options, backing, directIO, workers });
  await mkdir(options.root, { recursive: true, mode: 0o711 });
  await layers.load();
  const { root, runRoot } = options;
  return await OverlayDriver.open({ name: 'erofs', status, root, runRoot, layers, workers });
}

/** Layers unpacked once each and stacked by the kernel. */
export async function openOverlay2(options: DriverOptions, status: Status = []): Promise<SnapshotDriver> {
  const workers = new SnapshotWorkers();
  const layers = await unpackedLayers(options, 'overlay2', 'overlay', workers);
  const { root, runRoot } = options;
  return await OverlayDriver.open({ name: 'overlay2', status, root, runRoot, layers, workers });
}

/** Layers unpacked once each and stacked by a process, where the kernel cannot. */
export async function openFuseOverlay(options: DriverOptions, status: Status = []): Promise<SnapshotDriver> {
  const workers = new SnapshotWorkers();
  const name = 'fuse-overlayfs';
  const layers = await unpackedLayers(options, name, 'fuse-overlay', workers);
  const { root, runRoot } = options;
  return await OverlayDriver.open({ name, status, root, runRoot, layers, workers, stackedBy: name });
}

/** Plain copies. */
export async function openVfs(options: DriverOptions, status: Status = []): Promise<SnapshotDriver> {
  const workers = new SnapshotWorkers();
  return await openTrees(options, status, { workers, trees: new CopiedTrees(workers) });
}

/** Subvolumes and their snapshots. */
export async function openBtrfs(options: DriverOptions, status: Status = []): Promise<SnapshotDriver> {
  const workers = new SnapshotWorkers();
  return await openTrees(options, status, { workers, trees: new BtrfsTrees(options.root, workers) });
}

/** Datasets and their clones. */
export async function openZfs(options: DriverOptions, status: Status = []): Promise<SnapshotDriver> {
  const workers = new SnapshotWorkers();
  const trees = await ZfsTrees.open(options.root, workers);
  await trees.recover([join(options.root, 'layers', trees.name), join(options.root, 'snapshots')]);
  return await openTrees(options, status, { workers, trees });
}

async function openTrees(
  options: DriverOptions,
  status: Status,
  { workers, trees }: { workers: SnapshotWorkers; trees: Trees },
): Promise<SnapshotDriver> {
  const layers = await unpackedLayers(options, trees.name, trees, workers);
  return await TreeDriver.open({ status, root: options.root, runRoot: options.runRoot, layers, workers, trees });
}

async function unpackedLayers(
  { root, contentPath }: DriverOptions,
  name: string,
  form: 'overlay' | 'fuse-overlay' | Trees,
  workers: SnapshotWorkers,
): Promise<UnpackedLayers> {
  await mkdir(root, { recursive: true, mode: 0o711 });
  const indexes = new IndexStore({ root, contentPath, workers });
  const layers = new UnpackedLayers({ folder: join(root, 'layers', name), form, contentPath, workers, indexes });
  await layers.load();
  return layers;
}
