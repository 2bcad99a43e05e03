import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import { readBounded, writeAtomic } from '#files';
import { type ErofsBacking, overlayDepthLimit } from '#mount';
import { sys } from '#sys';
import { openBtrfs, openErofs, openFuseOverlay, openOverlay2, openVfs, openZfs } from './drivers.ts';
import { probeBtrfs, probeErofs, probeFuseOverlay, probeOverlay, probeZfs, removeTrials } from './probe.ts';
import { readStorageOptions, type StorageOptions } from './storage-options.ts';
import type { DriverOptions, SnapshotDriver } from './types.ts';

export interface ChosenDriver {
  readonly driver: SnapshotDriver;
  /** Why this one, in a line. */
  readonly reason: string;
  /** Of snapshots of containers that do not say, from the storage options. */
  readonly sizeLimitBytes: number | undefined;
}

interface ChooseOptions extends DriverOptions {
  readonly requested?: string;
  /** By `driver.option`. */
  readonly storageOptions?: Readonly<Record<string, string>>;
}

const known = ['erofs', 'overlay2', 'btrfs', 'zfs', 'fuse-overlayfs', 'vfs'] as const;
type Known = (typeof known)[number];

/** Docker had these once; their data is of no use to any driver of today. */
const retired = ['aufs', 'devicemapper', 'overlay'];

/**
 * Opens the driver that is asked for, or else the one this data root has been used with, or else the best that works here:
 * found out by mounting, not by kernel version. Order: erofs, overlay2, btrfs, zfs, fuse-overlayfs, vfs.
 * @throws `failed-precondition` for a retired driver, one that this machine cannot do, or one that cannot use the snapshots that are
 * there; `invalid-argument` for an unknown name, in Docker's words.
 */
export async function chooseDriver(options: ChooseOptions): Promise<ChosenDriver> {
  await mkdir(options.root, { recursive: true, mode: 0o711 });
  await removeTrials(options.root);
  const requested = options.requested === undefined ? undefined : parseName(options.requested);
  const previous = await previousDriver(options.root);
  if (requested !== undefined) {
    await refuseStranded(options.root, previous, requested);
    return await openNamed(options, requested, 'requested');
  }
  if (previous !== undefined && (await hasSnapshots(options.root))) {
    return await openNamed(options, previous, 'this data root has snapshots of it');
  }
  return await openBest(options);
}

function parseName(name: string): Known {
  if (retired.includes(name)) {
    throw new EngineError(
      'failed-precondition',
      `the ${name} storage driver was retired and is not supported: on the old daemon write the images out with "docker save", ` +
        'start this one on a data root of its own, and read them in with "docker load"',
    );
  }
  if (known.some((driver) => driver === name)) return name as Known;
  throw new EngineError('invalid-argument', `error initializing graphdriver: driver not supported: ${name}`);
}

async function openBest(options: ChooseOptions): Promise<ChosenDriver> {
  const refusals: string[] = [];
  for (const name of known) {
    const opened = await tryOpen(options, name, refusals);
    if (opened) return await remember(options.root, { ...opened, reason: [opened.reason, ...refusals].join('; ') });
  }
  throw new Error('plain copies work everywhere');
}

async function openNamed(options: ChooseOptions, name: Known, why: string): Promise<ChosenDriver> {
  const refusals: string[] = [];
  const opened = await tryOpen(options, name, refusals);
  if (opened) return await remember(options.root, { ...opened, reason: `${why}; ${opened.reason}` });
  throw new EngineError(
    'failed-precondition',
    `storage driver ${name} does not work here (${why}): ${refusals.join('; ')}`,
  );
}

async function tryOpen(options: ChooseOptions, name: Known, refusals: string[]): Promise<ChosenDriver | undefined> {
  const { sizeLimitBytes, ...wanted } = readStorageOptions(options.storageOptions ?? {}, name);
  const opened =
    name === 'erofs' ? await tryErofs(options, wanted, refusals) : await tryUnpacked(options, name, refusals);
  const refusal = sizeLimitBytes === undefined ? undefined : opened?.driver.sizeLimitRefusal();
  if (refusal === undefined) return opened && { ...opened, sizeLimitBytes };
  await opened?.driver[Symbol.asyncDispose]();
  throw new EngineError('failed-precondition', `storage option ${name}.size: ${refusal}`);
}

type Opened = Pick<ChosenDriver, 'driver' | 'reason'>;

async function tryUnpacked(
  options: DriverOptions,
  name: Exclude<Known, 'erofs'>,
  refusals: string[],
): Promise<Opened | undefined> {
  if (name === 'vfs') {
    return { driver: await openVfs(options, statusRows(options.root)), reason: 'plain copies work everywhere' };
  }
  const refusal = await trials[name](options.root);
  if (refusal !== undefined) {
    refusals.push(`${name}: ${refusal}`);
    return undefined;
  }
  if (name === 'btrfs') {
    const rows = [['Btrfs', ''] as const, ...statusRows(options.root)];
    return { driver: await openBtrfs(options, rows), reason: 'the file system clones folders' };
  }
  if (name === 'zfs') {
    return { driver: await openZfs(options, statusRows(options.root)), reason: 'the file system clones datasets' };
  }
  if (name === 'fuse-overlayfs') {
    const rows = [...statusRows(options.root), ['Layer Depth Limit', String(overlayDepthLimit)] as const];
    return { driver: await openFuseOverlay(options, rows), reason: 'the command fuse-overlayfs stacks folders here' };
  }
  return { driver: await openOverlay2(options, overlayRows(options.root)), reason: 'the kernel stacks folders here' };
}

const trials = {
  overlay2: probeOverlay,
  btrfs: probeBtrfs,
  zfs: probeZfs,
  'fuse-overlayfs': probeFuseOverlay,
} as const;

async function tryErofs(
  options: DriverOptions,
  { backing: wanted, directIO }: Pick<StorageOptions, 'backing' | 'directIO'>,
  refusals: string[],
): Promise<Opened | undefined> {
  for (const backing of wanted ? [wanted] : (['file', 'loop'] as const)) {
    const refusal = await probeErofs(options.root, backing, directIO);
    if (refusal !== undefined) {
      refusals.push(`erofs from ${backing === 'file' ? 'files' : 'loop devices'}: ${refusal}`);
      continue;
    }
    const rows = [...overlayRows(options.root), ['Layer Format', erofsFormat(backing, directIO)] as const];
    const why = wanted ? ', as asked for' : '';
    const reason = `the kernel mounts layers as they stand, from ${backing === 'file' ? 'files' : 'loop devices'}${why}`;
    return { driver: await openErofs(options, backing, { status: rows, directIO }), reason };
  }
  return undefined;
}

function erofsFormat(backing: ErofsBacking, directIO: boolean): string {
  if (directIO) return 'EROFS index over tar, file-backed, direct I/O';
  return backing === 'file' ? 'EROFS index over tar, file-backed' : 'EROFS index over tar, through loop devices';
}

type Rows = readonly (readonly [string, string])[];

/** Magic numbers of statfs(2), named as Docker names them. */
const filesystems: Readonly<Record<number, string>> = {
  61267: 'extfs',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  16914836: 'tmpfs',
  2035054128: 'overlayfs',
  801189825: 'zfs',
  4076150800: 'f2fs',
  3393526350: 'bcachefs',
};

function statusRows(root: string): Rows {
  return [['Backing Filesystem', filesystems[sys.statfs(root).type] ?? '<unknown>']];
}

function overlayRows(root: string): Rows {
  return [
    ...statusRows(root),
    ['Supports d_type', 'true'],
    ['Using metacopy', 'false'],
    ['Native Overlay Diff', 'true'],
    ['userxattr', 'false'],
    ['Layer Depth Limit', String(overlayDepthLimit)],
  ];
}

/** Names the driver that a data root was last used with. */
const memoryName = 'storage-driver';

async function previousDriver(root: string): Promise<Known | undefined> {
  const text = (await readBounded(join(root, memoryName), 64))?.toString().trim();
  return known.find((driver) => driver === text);
}

async function remember(root: string, chosen: ChosenDriver): Promise<ChosenDriver> {
  const { name } = chosen.driver;
  if ((await previousDriver(root)) !== name) await writeAtomic(join(root, memoryName), `${name}\n`);
  return chosen;
}

/** Copies and overlays keep a container's files in different places; the overlay drivers read each other's. */
async function refuseStranded(root: string, previous: Known | undefined, requested: Known): Promise<void> {
  if (previous === undefined || formOf(previous) === formOf(requested)) return;
  if (!(await hasSnapshots(root))) return;
  throw new EngineError(
    'failed-precondition',
    `storage driver ${requested} cannot use the containers that ${previous} keeps in ${root}: remove them or choose ${previous}`,
  );
}

/** Drivers that stack by overlayfs keep the writable part in the same place. */
function formOf(name: Known): string {
  return name === 'erofs' || name === 'overlay2' ? 'overlay' : name;
}

async function hasSnapshots(root: string): Promise<boolean> {
  try {
    return (await readdir(join(root, 'snapshots'))).some((name) => !name.startsWith('.'));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
