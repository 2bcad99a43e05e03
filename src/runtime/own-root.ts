import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError, ExitError } from '#errdefs';
import { helperPath } from '#sys';
import { runCommand } from './host-command.ts';

const timeoutMs = 10_000;

/**
 * A process whose root is not that of its mount namespace sits in a plain chroot. Containers made from there are in one too: they can climb out
 * with the capability to chroot, which Docker grants, and what `exec` adds to one joins its namespace and lands in the outer root at once.
 *
 * Told by a file only our root has: from the namespace's own root it must be there under the same path.
 * @throws `failed-precondition` in a chroot.
 */
export async function requireOwnRoot(runRoot: string): Promise<void> {
  const witness = join(runRoot, 'root-witness');
  copyFileSync(helperPath('runtime-wrapper'), witness);
  try {
    await runCommand('nsenter', ['--mount=/proc/self/ns/mnt', '--', witness, '--probe'], { timeoutMs });
  } catch (error) {
    if (!isMissing(error, witness)) return;
    throw new EngineError(
      'failed-precondition',
      'containers cannot be kept inside their roots from within a chroot: start the daemon where its root is that of its mount namespace (pivot_root or systemd-nspawn instead of chroot)',
      { cause: error },
    );
  } finally {
    rmSync(witness, { force: true });
  }
}

/** Only this tells of a chroot; a machine without nsenter, or one that forbids it, tells nothing. */
function isMissing(error: unknown, witness: string): boolean {
  return error instanceof ExitError && error.stderr.includes(`${witness}: No such file or directory`);
}
