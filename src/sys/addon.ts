import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { EngineError } from '#errdefs';
import type { Sys } from './types.ts';

/** The package's `native/build` folder: above the sources, and above the bundle. */
function findNativeFile(name: string): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const candidate = join(folder, 'native', 'build', name);
    if (existsSync(candidate)) return candidate;
    if (dirname(folder) === folder) {
      throw new EngineError('failed-precondition', `${name} is not built for this machine: run \`npm run setup\``);
    }
  }
}

/**
 * Where a helper program of the package is: `native/helpers/<name>.c`, built for this machine's architecture.
 * @throws `failed-precondition` when it is not built.
 */
export function helperPath(name: string): string {
  return findNativeFile(`${name}-${process.arch}`);
}

/**
 * The addon. Importing `#sys` loads it, once per thread, in well under a millisecond.
 * @throws `failed-precondition` on import when it is not built.
 */
export const sys: Sys = createRequire(import.meta.url)(findNativeFile(`sys-${process.arch}.node`)) as Sys;
