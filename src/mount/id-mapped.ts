import { mkdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import { type CloneOptions, mountClone } from './clone.ts';
import { mountOverlay } from './overlay.ts';
import type { OverlaySpec } from './types.ts';
import { unmount } from './unmount.ts';

/**
 * Mounts what is at `source`, a folder or a file, at `target` under the IDs of a user namespace; the target is made.
 * @throws `failed-precondition` when the kernel or the file system cannot.
 */
export function mountMapped(source: string, target: string, options: CloneOptions & { userNamespace: number }): void {
  makeMountPoint(source, target);
  mountCloneMapped(source, target, options);
}

/** A place of the kind of `source` to mount it on. */
export function makeMountPoint(source: string, target: string): void {
  if (statSync(source).isDirectory()) mkdirSync(target, { recursive: true, mode: 0o700 });
  else writeFileSync(target, '', { mode: 0o600 });
}

/** {@link mountClone}. @throws `failed-precondition` when the kernel or the file system cannot show it under other IDs. */
export function mountCloneMapped(source: string, target: string, options: CloneOptions): void {
  try {
    mountClone(source, target, options);
  } catch (error) {
    const cannot = isErrno(error, 'EINVAL') || isErrno(error, 'EPERM') || isErrno(error, 'ENOSYS');
    if (options.userNamespace === undefined || !cannot) throw error;
    const fact = 'its file system, or one mounted below it, cannot be shown under other IDs';
    throw new EngineError('failed-precondition', `idmap ${source}: ${fact}`, { cause: error });
  }
}

/**
 * An overlay cannot be shown under other IDs; what it is made of can. Each part is mounted so in `staging`, the overlay over those, which keeps what it
 * needs of them, and the staging folder is gone again.
 * @throws as {@link mountMapped} and {@link mountOverlay} do.
 */
export async function mountMappedOverlay(
  spec: OverlaySpec,
  { userNamespace, staging }: { userNamespace: number; staging: string },
): Promise<void> {
  const targets: string[] = [];
  const mapped = (source: string) => {
    const target = join(staging, String(targets.length));
    mkdirSync(target, { recursive: true, mode: 0o700 });
    targets.push(target);
    mountMapped(source, target, { userNamespace });
    return target;
  };
  try {
    mountOverlay({ ...spec, lowers: spec.lowers.map(mapped), ...mappedWritable(spec, mapped) });
  } finally {
    for (const target of targets) await unmount(target);
    for (const target of targets) rmdirSync(target);
    if (targets.length > 0) rmdirSync(staging);
  }
}

/** overlayfs wants upper and work folder in one mount. */
function mappedWritable({ writable }: OverlaySpec, mapped: (source: string) => string): Pick<OverlaySpec, 'writable'> {
  if (!writable) return {};
  const folder = dirname(writable.upper);
  if (dirname(writable.work) !== folder) throw new Error(`${writable.work} is not beside ${writable.upper}`);
  const target = mapped(folder);
  return {
    writable: {
      ...writable,
      upper: join(target, basename(writable.upper)),
      work: join(target, basename(writable.work)),
    },
  };
}
