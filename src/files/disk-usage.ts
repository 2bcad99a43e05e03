import { lstat, readdir } from 'node:fs/promises';
import { isErrno } from '#errdefs';

/** How many files are asked about at once: enough to keep the pool busy, few enough to leave it to others. */
const atOnce = 16;
const blockBytes = 512n;

/** Files that were counted, so that one with many names counts once however many folders are asked about. */
export type SeenFiles = Set<string>;

/** What a file or a folder with all below it takes on the disk, as `du` counts it: blocks, folders too. Absent, and what goes meanwhile, is nothing. */
export async function diskUsage(path: string, seen: SeenFiles = new Set()): Promise<number> {
  let blocks = 0n;
  const pending: Buffer[] = [];
  const add = async (file: Buffer): Promise<void> => {
    const stat = await lstat(file, { bigint: true }).catch(ignoreGone);
    if (stat === undefined) return;
    if (stat.isDirectory()) pending.push(file);
    else if (stat.nlink > 1n && seen.size === seen.add(`${stat.dev}:${stat.ino}`).size) return;
    blocks += stat.blocks;
  };
  await add(Buffer.from(path));
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    const names = (await readdir(folder, { encoding: 'buffer' }).catch(ignoreGone)) ?? [];
    for (let at = 0; at < names.length; at += atOnce) {
      const below = names.slice(at, at + atOnce).map((name) => Buffer.concat([folder!, Buffer.from('/'), name]));
      await Promise.all(below.map(add));
    }
  }
  return Number(blocks * blockBytes);
}

function ignoreGone(error: unknown): undefined {
  if (!isErrno(error, 'ENOENT') && !isErrno(error, 'ENOTDIR')) throw error;
  return undefined;
}
