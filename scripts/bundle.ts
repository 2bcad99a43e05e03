/**
 * Bundles the mains and worker threads into a flat `dist/`: what `bin/` runs and what is published. Built beside and then put in place, so that a
 * daemon that starts meanwhile finds the old bundle or the new one.
 */
import { readdirSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const fresh = join(root, `dist.${process.pid}.new`);
const stale = join(root, `dist.${process.pid}.old`);

const workers = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.worker.ts'))
  .map((path) => join(root, 'src', path));

try {
  await build({
    entryPoints: [
      join(root, 'src/index.ts'),
      join(root, 'src/bin/wherry.ts'),
      join(root, 'src/bin/wherryd.ts'),
      ...workers,
    ],
    entryNames: '[name]',
    outdir: fresh,
    bundle: true,
    // CommonJS with cycles of its own: it stays a package and is loaded when a registry is first spoken to.
    external: ['undici'],
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    sourcemap: 'linked',
    sourcesContent: false,
    minifySyntax: true,
    legalComments: 'none',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  await rename(dist, stale).catch(() => {});
  await rename(fresh, dist);
} finally {
  await rm(fresh, { recursive: true, force: true });
  await rm(stale, { recursive: true, force: true });
}
