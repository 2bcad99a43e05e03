import { rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno } from '#errdefs';
import { log } from '#log';

/** The folder that something was mounted on, and its own. Never recursive: were the mount still there, its files would go. */
export async function removeMountPoint(target: string): Promise<void> {
  for (const folder of [target, dirname(target)]) {
    try {
      await rmdir(folder);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) continue;
      log.warn('remove mount point failed', { folder, error });
      return;
    }
  }
}
