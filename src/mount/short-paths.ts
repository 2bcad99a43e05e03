import { closeSync, openSync } from 'node:fs';

/**
 * Short names for long paths: `/proc/self/fd/N` on descriptors held while `use` runs. The kernel resolves them when the
 * mount is made; nothing depends on the descriptors afterwards.
 */
export function withShortPaths<T>(paths: readonly string[], use: (short: readonly string[]) => T): T {
  const descriptors: number[] = [];
  try {
    for (const path of paths) descriptors.push(openSync(path, 'r'));
    return use(descriptors.map((fd) => `/proc/self/fd/${fd}`));
  } finally {
    for (const fd of descriptors) closeSync(fd);
  }
}
