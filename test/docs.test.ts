/** README and docs/: every relative link leads somewhere, every path they name exists. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');
const pages = ['README.md', ...globSync('docs/*.md', { cwd: root }).sort()];
/** Folders whose paths are written from the root of the checkout. */
const repositoryPath = /^(?:src|test|bench|bin|docs|examples|native|scripts)\/[\w./*-]*$/;

/** The page without its code blocks: what they hold is output and programs, not promises. */
function prose(page: string): string {
  return readFileSync(join(root, page), 'utf8').replace(/^```[\s\S]*?^```/gm, '');
}

function linksOf(page: string): string[] {
  return [...prose(page).matchAll(/\]\(([^)]+)\)/g)]
    .map((match) => match[1]!.split('#')[0]!)
    .filter((target) => target !== '' && !/^[a-z]+:/.test(target));
}

/** Paths in backticks, and in diagrams, which name files without them. */
function pathsOf(page: string): string[] {
  const text = readFileSync(join(root, page), 'utf8');
  const ticked = [...prose(page).matchAll(/`([^`\s]+)`/g)].map((match) => match[1]!);
  const drawn = [...text.matchAll(/(?<![\w/.])src\/[\w./-]+\.ts\b/g)].map((match) => match[0]);
  return [...ticked, ...drawn].filter((path) => repositoryPath.test(path));
}

function exists(path: string): boolean {
  return path.includes('*') ? globSync(path, { cwd: root }).length > 0 : existsSync(join(root, path));
}

for (const page of pages) {
  test(`${page}: links lead somewhere`, () => {
    const broken = linksOf(page).filter((target) => !existsSync(join(root, dirname(page), target)));
    assert.deepEqual(broken, []);
  });

  test(`${page}: the files it names exist`, () => {
    assert.deepEqual(
      pathsOf(page).filter((path) => !exists(path)),
      [],
    );
  });
}

test('the pages name files at all', () => {
  assert.ok(pages.flatMap(pathsOf).length > 50);
});

test('the example in docs/library.md is examples/library.ts', () => {
  const example = readFileSync(join(root, 'examples/library.ts'), 'utf8').trim();
  assert.ok(readFileSync(join(root, 'docs/library.md'), 'utf8').includes(example));
});
