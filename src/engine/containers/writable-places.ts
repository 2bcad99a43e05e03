import { posix } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import type { ContainerBody, PlannedMount } from './record.ts';

type Body = Pick<ContainerBody, 'hostConfig' | 'mounts'>;

/**
 * Said before anything is written, and of a stopped container too, whose volumes are writable here.
 * @throws `invalid-argument` in dockerd's words where a container may not write at `path`.
 */
export function requireWritable({ hostConfig, mounts }: Body, path: string): void {
  const mount = mountOf(mounts, posix.join('/', path));
  if (mount ? isReadOnly(mount) : hostConfig.ReadonlyRootfs) throw readOnly(mount !== undefined);
}

/** The same of a path that led elsewhere by a symlink: the kernel refused it. */
export function writeFault({ hostConfig }: Body, error: unknown): unknown {
  return isErrno(error, 'EROFS') ? readOnly(!hostConfig.ReadonlyRootfs) : error;
}

function readOnly(inVolume: boolean): EngineError {
  const what = inVolume ? 'mounted volume' : 'container rootfs';
  return new EngineError('invalid-argument', `${what} is marked read-only`);
}

/** The innermost that a path is in. */
function mountOf(mounts: readonly PlannedMount[], path: string): PlannedMount | undefined {
  const holding = mounts.filter(({ destination }) => path === destination || path.startsWith(`${destination}/`));
  return holding.sort((a, b) => b.destination.length - a.destination.length)[0];
}

const isReadOnly = (mount: PlannedMount) => (mount.kind === 'tmpfs' ? mount.options.includes('ro') : mount.readOnly);
