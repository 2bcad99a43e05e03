import type { BigIntStats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { isErrno } from '#errdefs';

/** How many files are asked about at once: enough to keep the pool busy, few enough to leave it to others. */
const atOnce = 16;
const blockBytes = 512n;

/** Files that were counted, so that one with many names counts once however many folders are asked about. */
export type SeenFiles = Set<string>;

/**
 * What a file or a folder with all below it takes on the disk, as `du -x` counts it: blocks, folders too, nothing of other file systems. Absent, and what
 * goes meanwhile, is nothing.
 */
export async function diskUsage(path: string, seen: SeenFiles = new Set()): Promise<number> {
  let blocks = 0n;
  let device: bigint | undefined;
  const pending: Buffer[] = [];
  const add = async (file: Buffer): Promise<void> => {
    const stat = await lstat(file, { bigint: true }).catch(ignoreGone);
    if (stat === undefined || stat.dev !== (device ??= stat.dev)) return;
    if (stat.isDirectory()) pending.push(file);
    else if (!isFirst(stat, seen)) return;
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

/** What the entry itself takes, without what is below it. */
export async function entryUsage(path: string): Promise<number> {
  const stat = await lstat(path, { bigint: true }).catch(ignoreGone);
  return stat === undefined ? 0 : Number(stat.blocks * blockBytes);
}

function isFirst(stat: BigIntStats, seen: SeenFiles): boolean {
  if (stat.nlink === 1n) return true;
  const key = `${stat.dev}:${stat.ino}`;
  return !seen.has(key) && seen.add(key) !== undefined;
}

function ignoreGone(error: unknown): undefined {
  if (!isErrno(error, 'ENOENT') && !isErrno(error, 'ENOTDIR')) throw error;
  return undefined;
}
