/**
 * Bundles the mains and worker threads into a flat `dist/`: what `bin/` runs and what is published. Built beside and then put in place, so that a
 * daemon that starts meanwhile finds the old bundle or the new one.
 */
import { readdirSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const fresh = join(root, `dist.${process.pid}.new`);
const stale = join(root, `dist.${process.pid}.old`);

const workers = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.worker.ts') && !path.includes('testdata'))
  .map((path) => join(root, 'src', path));

/**
 * Built-in modules as properties that are read where they are used. An `import` of one reads all its exports at once, and those of `node:http` load a
 * whole HTTP client that nobody asked for. `deferred`: the module itself is loaded when the first of its properties is read.
 */
function builtins({ deferred }: { deferred: boolean }): Plugin {
  return {
    name: 'builtins',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'builtin', sideEffects: false }));
      onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => {
        const module = `process.getBuiltinModule(${JSON.stringify(path)})`;
        const get = `(_, name, self) => { const value = (found ??= ${module})[name]; Object.defineProperty(self, name, { value }); return value; }`;
        const lazily = `let found; module.exports = Object.create(new Proxy({}, { get: ${get} }));`;
        return { contents: deferred ? lazily : `module.exports = ${module};` };
      });
    },
  };
}

/** Only one command needs it, which finds it beside the client. */
const registryServerBeside: Plugin = {
  name: 'registry-server-beside',
  setup({ onResolve }) {
    onResolve({ filter: /^#registry-server$/ }, () => ({ path: './registry-server.js', external: true }));
  },
};

const common = {
  outdir: fresh,
  bundle: true,
  platform: 'node',
  target: 'node26',
  sourcemap: 'linked',
  sourcesContent: false,
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
} satisfies BuildOptions;

const daemonAndLibrary: BuildOptions = {
  ...common,
  entryPoints: [
    { in: join(root, 'src/index.ts'), out: 'index' },
    { in: join(root, 'src/bin/wherryd.ts'), out: 'wherryd' },
    { in: join(root, 'src/registry-server/index.ts'), out: 'registry-server' },
  ],
  // CommonJS with cycles of its own: it stays a package and is loaded when a registry is first spoken to.
  external: ['undici'],
  plugins: [builtins({ deferred: false })],
  splitting: true,
  format: 'esm',
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
};

/** A file each: threads come and go, and twenty modules take longer to load than what a small layer needs. */
const threads: BuildOptions = {
  ...common,
  entryPoints: workers.map((path) => ({ in: path, out: basename(path, '.ts') })),
  plugins: [builtins({ deferred: true })],
  format: 'cjs',
  define: { 'import.meta.dirname': '__dirname', 'import.meta.url': '__fileURL' },
  banner: { js: "const __fileURL = require('node:url').pathToFileURL(__filename).href;" },
  outExtension: { '.js': '.cjs' },
};

/** One file, and nothing loaded that a command does not use: a user waits for its start at each command. */
const client: BuildOptions = {
  ...common,
  entryPoints: [{ in: join(root, 'src/bin/wherry.ts'), out: 'wherry' }],
  external: ['undici'],
  plugins: [builtins({ deferred: true }), registryServerBeside],
  format: 'cjs',
  define: { 'import.meta.dirname': '__dirname', 'import.meta.url': '__filename' },
  outExtension: { '.js': '.cjs' },
};

try {
  await build(daemonAndLibrary);
  await build(threads);
  await build(client);
  await rename(dist, stale).catch(() => {});
  await rename(fresh, dist);
} finally {
  await rm(fresh, { recursive: true, force: true });
  await rm(stale, { recursive: true, force: true });
}
