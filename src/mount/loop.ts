import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { log } from '#log';

const run = promisify(execFile);

/**
 * Puts loop devices before files while `use` mounts them. A loop device of a mount frees itself with the unmount, so afterwards nothing
 * is left to undo.
 */
export async function withLoops<T>(
  paths: readonly string[],
  { readOnly }: { readOnly: boolean },
  use: (devices: readonly string[]) => T,
): Promise<T> {
  const loops: string[] = [];
  try {
    for (const path of paths) loops.push(await attach(path, readOnly));
    return use(loops);
  } finally {
    // Detaching a mounted loop device defers until the unmount.
    for (const loop of loops) await detach(loop);
  }
}

async function attach(path: string, readOnly: boolean): Promise<string> {
  const { stdout } = await run('losetup', ['--find', '--show', ...(readOnly ? ['--read-only'] : []), path]);
  return stdout.trim();
}

async function detach(loop: string): Promise<void> {
  try {
    await run('losetup', ['--detach', loop]);
  } catch (error) {
    log.warn('detach loop device failed', { loop, error });
  }
}
