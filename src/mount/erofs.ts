import { EngineError, messageOf } from '#errdefs';
import { mountAttr, sys } from '#sys';
import { withLoops } from './loop.ts';
import type { ErofsBacking, ErofsSpec } from './types.ts';

/**
 * Mounts an EROFS image read-only. `file` reads image and devices as they are (Linux 6.12); `loop` puts a loop device before
 * each, which frees itself with the unmount (Linux 6.4 for images with blocks smaller than a page).
 * @throws `internal` with the kernel's words; nothing is left mounted or attached.
 */
export async function mountErofs(spec: ErofsSpec, backing: ErofsBacking): Promise<void> {
  try {
    if (backing === 'file') mountImage([spec.image, ...spec.devices], spec);
    else {
      const files = [spec.image, ...spec.devices];
      await withLoops(files, { readOnly: true }, (loops) => mountImage(loops, { target: spec.target }));
    }
  } catch (error) {
    throw new EngineError('internal', `mount erofs on ${spec.target}: ${messageOf(error)}`, { cause: error });
  }
}

function mountImage(
  [image, ...devices]: readonly string[],
  { target, directIO = false }: Pick<ErofsSpec, 'target' | 'directIO'>,
): void {
  const options = [
    ['ro', null] as const,
    ['source', image!] as const,
    ...devices.map((device) => ['device', device] as const),
    ...(directIO ? [['directio', null] as const] : []),
  ];
  sys.fsMount('erofs', options, target, mountAttr.readOnly);
}
