import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { EngineError, messageOf } from '#errdefs';
import { log } from '#log';
import { mountAttr, sys } from '#sys';
import type { ErofsBacking, ErofsSpec } from './types.ts';

const run = promisify(execFile);

/**
 * Mounts an EROFS image read-only. `file` reads image and devices as they are (Linux 6.12); `loop` puts a loop device before
 * each, which frees itself with the unmount (Linux 6.4 for images with blocks smaller than a page).
 * @throws `internal` with the kernel's words; nothing is left mounted or attached.
 */
export async function mountErofs(spec: ErofsSpec, backing: ErofsBacking): Promise<void> {
  try {
    if (backing === 'file') mountImage([spec.image, ...spec.devices], spec.target);
    else await mountLoops(spec);
  } catch (error) {
    throw new EngineError('internal', `mount erofs on ${spec.target}: ${messageOf(error)}`, { cause: error });
  }
}

function mountImage([image, ...devices]: readonly string[], target: string): void {
  const options = [
    ['ro', null] as const,
    ['source', image!] as const,
    ...devices.map((device) => ['device', device] as const),
  ];
  sys.fsMount('erofs', options, target, mountAttr.readOnly);
}

async function mountLoops(spec: ErofsSpec): Promise<void> {
  const loops: string[] = [];
  try {
    for (const path of [spec.image, ...spec.devices]) loops.push(await attachLoop(path));
    mountImage(loops, spec.target);
  } finally {
    // Detaching a mounted loop device defers until the unmount, so nothing is left to undo later.
    for (const loop of loops) await detachLoop(loop);
  }
}

async function attachLoop(path: string): Promise<string> {
  const { stdout } = await run('losetup', ['--find', '--show', '--read-only', path]);
  return stdout.trim();
}

async function detachLoop(loop: string): Promise<void> {
  try {
    await run('losetup', ['--detach', loop]);
  } catch (error) {
    log.warn('detach loop device failed', { loop, error });
  }
}
