import { statOf, typeOfStat } from './attributes.ts';
import type { SnapshotUsage } from './types.ts';
import { namesInUpper, type Upper } from './upper.ts';

/**
 * Walks a tree and yields the sum so far after each file: sizes as they read, a file with many names once, folders as Docker
 * counts them (an inode, no bytes). The last value is the tree's.
 */
export function* treeUsage(upper: Upper): Generator<SnapshotUsage> {
  const seen = new Set<bigint>();
  const usage = { sizeBytes: 0, inodes: 0 };
  const pending = [upper.root];
  while (pending.length > 0) {
    const folder = pending.pop()!;
    for (const name of namesInUpper(upper, folder)) {
      const path = `${folder}/${name}`;
      const stat = statOf(path);
      if (stat === undefined || seen.has(stat.ino)) continue;
      if (stat.nlink > 1) seen.add(stat.ino);
      usage.inodes++;
      if (typeOfStat(stat) === 'directory') pending.push(path);
      else usage.sizeBytes += stat.size;
      yield { ...usage };
    }
  }
}
