import { lstat, readdir } from 'node:fs/promises';
import { isErrno } from '#errdefs';

/** How many files are asked about at once: enough to keep the pool busy, few enough to leave it to others. */
const atOnce = 16;

/** Apparent sizes of everything below a folder but folders, each file once. Files that go meanwhile are not counted. */
export async function sizeOfTree(folder: string, signal: AbortSignal | undefined): Promise<number> {
  const seen = new Set<string>();
  const pending: Buffer[] = [Buffer.from(folder)];
  let sizeBytes = 0;
  const add = async (path: Buffer) => {
    const stat = await lstat(path, { bigint: true });
    const key = `${stat.dev}:${stat.ino}`;
    if (stat.nlink > 1n && seen.has(key)) return;
    seen.add(key);
    sizeBytes += Number(stat.size);
  };
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    signal?.throwIfAborted();
    const files: Buffer[] = [];
    for (const entry of await entriesOf(next)) {
      (entry.isDirectory() ? pending : files).push(Buffer.concat([next, Buffer.from('/'), entry.name]));
    }
    for (let at = 0; at < files.length; at += atOnce) {
      await Promise.all(files.slice(at, at + atOnce).map((path) => add(path).catch(ignoreGone)));
    }
  }
  return sizeBytes;
}

async function entriesOf(folder: Buffer) {
  try {
    return await readdir(folder, { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    ignoreGone(error);
    return [];
  }
}

function ignoreGone(error: unknown): void {
  if (!isErrno(error, 'ENOENT')) throw error;
}
