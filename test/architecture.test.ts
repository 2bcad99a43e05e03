/** The layout of the house: which module may import which. Holds the one table; fails on any other edge. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';

const levels: readonly (readonly string[])[] = [
  ['errdefs', 'streams', 'files', 'concurrency', 'log', 'sys', 'sqlite'],
  ['oci', 'reference', 'archive', 'context-listing', 'erofs', 'dockerfile', 'api-types', 'http', 'grpc'],
  ['content', 'mount', 'snapshots', 'metadata', 'image'],
  [
    'registry',
    'diff',
    'delta',
    'transfer',
    'remote',
    'runtime',
    'network',
    'volume',
    'image-files',
    'builder',
    'buildkit',
  ],
  ['engine'],
  ['api', 'registry-server', 'client', 'cli'],
];

/** Edges between neighbours on one level, beyond "lower levels only". */
const neighbours: Readonly<Record<string, readonly string[]>> = {
  streams: ['errdefs'],
  files: ['errdefs'],
  concurrency: ['errdefs', 'log'],
  sys: ['errdefs'],
  sqlite: ['errdefs', 'concurrency', 'log', 'sys'],
  reference: ['oci'],
  'context-listing': ['archive'],
  erofs: ['archive'],
  'api-types': ['oci'],
  snapshots: ['mount', 'content'],
  image: ['content'],
  metadata: ['content', 'snapshots'],
  transfer: ['registry', 'diff', 'delta'],
  remote: ['registry', 'transfer'],
  builder: ['transfer', 'diff', 'runtime', 'network'],
  buildkit: ['builder', 'registry', 'transfer', 'diff'],
  cli: ['client'],
};

/** Surfaces reach down only to these, whatever their level. */
const surfaces: Readonly<Record<string, readonly string[]>> = {
  api: ['errdefs', 'streams', 'concurrency', 'log', 'api-types', 'context-listing', 'http', 'oci', 'reference'],
  'registry-server': [
    'errdefs',
    'streams',
    'files',
    'concurrency',
    'log',
    'sys',
    'sqlite',
    'oci',
    'reference',
    'http',
    'content',
    'registry',
  ],
  client: ['errdefs', 'streams', 'api-types', 'context-listing', 'http'],
  cli: [
    'errdefs',
    'streams',
    'files',
    'concurrency',
    'log',
    'sys',
    'api-types',
    'reference',
    'archive',
    'context-listing',
    'dockerfile',
    'http',
    'client',
    'registry-server',
    'oci',
    'registry',
    'remote',
    'transfer',
  ],
};

const source = join(import.meta.dirname, '..', 'src');
const levelOf = new Map(levels.flatMap((modules, level) => modules.map((module) => [module, level] as const)));

function allowed(from: string, to: string): boolean {
  if (surfaces[from]) return surfaces[from].includes(to);
  const fromLevel = levelOf.get(from)!;
  const toLevel = levelOf.get(to)!;
  return toLevel < fromLevel || (neighbours[from]?.includes(to) ?? false);
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => path.endsWith('.ts') && statSync(path).isFile());
}

function importsOf(path: string): string[] {
  const text = readFileSync(path, 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]!);
}

test('every module is in the table', () => {
  const folders = readdirSync(source).filter((name) => statSync(join(source, name)).isDirectory());
  const known = [...levelOf.keys(), 'bin', 'testing'];
  assert.deepEqual(
    folders.filter((folder) => !known.includes(folder)),
    [],
  );
});

test('modules import only what the table allows, and only by the door', () => {
  const faults: string[] = [];
  for (const path of sourceFiles(source)) {
    const name = relative(source, path);
    const from = name.split('/')[0]!;
    const isTest = path.endsWith('.test.ts') || name.includes('/testsuite');
    for (const target of importsOf(path)) {
      if (target.startsWith('#')) {
        const to = target.slice(1);
        if (
          to === 'testing'
            ? !isTest && from !== 'testing'
            : levelOf.has(from) && !isTest && to !== from && !allowed(from, to)
        ) {
          faults.push(`${name} imports ${target}`);
        }
      } else if (target.startsWith('.')) {
        const reached = relative(source, join(path, '..', target)).split('/')[0]!;
        if (reached !== from) faults.push(`${name} reaches around the door: ${target}`);
      }
    }
  }
  assert.deepEqual(faults, []);
});

test('text is not read by Node: on files that answer in pieces, as those of /proc do, 26.10 writes beyond the end of its buffer', () => {
  const faults = sourceFiles(source).filter((path) =>
    /\breadFileSync\([^;]*?,\s*(?:\{[^}]*encoding\b|['"]utf-?8['"])/.test(readFileSync(path, 'utf8')),
  );
  assert.deepEqual(
    faults.map((path) => `${relative(source, path)}: readFileSync(path).toString()`),
    [],
  );
});
