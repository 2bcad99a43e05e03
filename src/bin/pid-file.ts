import { readFile } from 'node:fs/promises';
import { EngineError } from '#errdefs';
import { removeIfPresent, writeAtomic } from '#files';

/**
 * Writes this process's number to `path`, until disposed; nothing without a path.
 * @throws `conflict` in dockerd's words when the file names a process that is alive.
 */
export async function claimPidFile(path: string | undefined): Promise<AsyncDisposable> {
  if (!path) return { async [Symbol.asyncDispose]() {} };
  const pid = await readPid(path);
  if (pid > 0 && pid !== process.pid && isAlive(pid)) {
    throw new EngineError(
      'conflict',
      `process with PID ${pid} is still running: pid file found, ensure wherryd is not running or delete ${path}`,
    );
  }
  await writeAtomic(path, `${process.pid}`, { mode: 0o644 });
  return {
    async [Symbol.asyncDispose]() {
      if ((await readPid(path)) === process.pid) await removeIfPresent(path);
    },
  };
}

async function readPid(path: string): Promise<number> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return /^\s*\d+\s*$/.test(text) ? Number(text) : 0;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
