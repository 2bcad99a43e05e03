import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BlamedFile, BlameKind } from '#api-types';
import { temporaryFolder } from '#testing';
import { blameLayers, type LayerBlame } from './blame.ts';
import { openImageTree } from './image-tree.ts';
import { below } from './list.ts';
import { file, folder, imageIn, type Member, tarOf } from './testsuite/layers.ts';

const total = (sums: LayerBlame['sums']) => Object.values(sums).reduce((sum, bytes) => sum + bytes, 0);

async function blameOf(...layers: (readonly Member[])[]): Promise<LayerBlame[]> {
  await using held = await temporaryFolder();
  const image = imageIn(held.path, 'image', layers.map(tarOf));
  return blameLayers(image, 1000);
}

const told = ({ path, kind, by, of, aspects }: BlamedFile) =>
  [path, kind, by, of && `${of.layer}${of.path}`, aspects?.join()].filter((part) => part !== undefined).join(' ');
const tell = (layer: LayerBlame) => layer.largest.map(told).sort();

test('each byte has one name, and together they are the layer', async () => {
  const [bottom, top] = await blameOf([file('a', 'x'.repeat(1000)), folder('d')], [file('b', 'y')]);
  // Header, data and padding; the end of the tar is of no file.
  assert.deepEqual(bottom!.sums, { ...zero, kept: 512 + 1024 + 512, archive: 1024 });
  assert.deepEqual([bottom!.sizeBytes, total(bottom!.sums), bottom!.files], [3072, 3072, 2]);
  assert.deepEqual(top!.sums, { ...zero, kept: 1024, archive: 1024 });
});

const zero: Record<BlameKind, number> = {
  kept: 0,
  overwritten: 0,
  deleted: 0,
  copied: 0,
  duplicate: 0,
  repeated: 0,
  archive: 0,
};

test('waste is told from what is kept, with who made it', async () => {
  const layers = await blameOf(
    [
      folder('d'),
      file('d/gone', 'gone'),
      file('over', 'old'),
      file('chown', 'same'),
      file('opaque/in', 'below'),
      file('opaque/again', 'once'),
      file('one', 'twin'),
      file('twice', 'first'),
      file('twice', 'second'),
    ],
    [
      file('.wh.d', ''),
      file('over', 'new'),
      file('chown', 'same', { uid: 7, mtime: { sec: 9, nsec: 0 } }),
      file('opaque/.wh..wh..opq', ''),
      file('opaque/again', 'twice over'),
      file('other', 'twin'),
      { type: 'hardlink', path: 'link', linkPath: 'other' },
    ],
    [file('chown', 'same', { uid: 7, mtime: { sec: 9, nsec: 0 }, mode: 0o600 })],
  );
  assert.deepEqual(layers.map(tell), [
    [
      '/chown kept',
      '/d deleted 1',
      '/d/gone deleted 1',
      '/one kept',
      '/opaque/again overwritten 1',
      '/opaque/in deleted 1',
      '/over overwritten 1',
      '/twice kept',
      '/twice repeated',
    ],
    [
      '/.wh.d kept',
      '/chown copied 0/chown owner,modified',
      '/link kept',
      '/opaque/.wh..wh..opq kept',
      '/opaque/again kept',
      '/other duplicate 0/one',
      '/over kept',
    ],
    ['/chown copied 1/chown mode'],
  ]);
  for (const layer of layers) assert.equal(total(layer.sums), layer.sizeBytes);
});

test('a copy that is deleted takes what it was copied of along', async () => {
  const layers = await blameOf([file('a', 'text')], [file('a', 'text', { uid: 1 })], [file('.wh.a', '')]);
  assert.deepEqual(layers.flatMap(tell), ['/a deleted 2', '/a copied 0/a owner', '/.wh.a kept']);
});

test('hardlinks keep what they name; files below a symlink are found', async () => {
  const layers = await blameOf(
    [
      file('a', 'text'),
      { type: 'hardlink', path: 'b', linkPath: 'a' },
      folder('real'),
      { type: 'symlink', path: 'way', linkPath: 'real' },
    ],
    [file('.wh.a', ''), file('way/in', 'through')],
    [{ type: 'hardlink', path: 'c', linkPath: 'b' }],
  );
  assert.deepEqual(layers.map(tell), [
    ['/b kept', '/c kept', '/real kept', '/way kept'],
    ['/.wh.a kept', '/real/in kept'],
    ['/c kept'],
  ]);
});

/** Few names and contents, so that layers meet. */
const names = ['a', 'b', 'd', 'd/a', 'd/b', 'd/e', 'd/e/a'] as const;
const member = fc.oneof(
  fc
    .record({ name: fc.constantFrom(...names), content: fc.constantFrom('one', 'two', 'three'), uid: fc.nat(1) })
    .map(({ name, content, uid }) => file(name, content, { uid })),
  fc.constantFrom(...names).map((name) => file(name.replace(/[^/]+$/, '.wh.$&'), '')),
  fc.constantFrom('d', 'd/e').map((name) => folder(name)),
  fc.constantFrom('d', 'd/e').map((name) => file(`${name}/.wh..wh..opq`, '')),
);

/** A tar that no extractor refuses: no entry below a file of the same layer. */
function isSound(members: readonly Member[]): boolean {
  const files = members.filter(({ type, path }) => type === 'file' && !path.includes('.wh.')).map(({ path }) => path);
  return !members.some(({ path }) => files.some((name) => path.startsWith(`${name}/`)));
}

test('whatever the layers: sums are exact, what is seen is kept and the rest is not', async () => {
  await using held = await temporaryFolder();
  let run = 0;
  const layers = fc.array(fc.array(member, { maxLength: 8 }).filter(isSound), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(layers, (chain) => {
      const image = imageIn(held.path, `run${++run}`, chain.map(tarOf));
      const blamed = blameLayers(image, 1000);
      for (const layer of blamed) assert.equal(total(layer.sums), layer.sizeBytes);
      using tree = openImageTree(image);
      const seen = [...below(tree, tree.root)].filter(({ node }) => tree.inode(node).type === 'file');
      const told = blamed.flatMap(({ largest }, layer) =>
        largest.filter(({ path }) => !path.includes('.wh.')).map((one) => ({ ...one, layer })),
      );
      for (const { path, node } of seen) {
        const layer = tree.layer(node);
        const own = told.filter((one) => one.layer === layer && one.path === `/${path}`);
        assert.ok(
          own.some(({ kind }) => ['kept', 'duplicate', 'copied'].includes(kind)),
          `${path} of layer ${layer}`,
        );
      }
      // One copy of each contents that are seen is kept, and no more.
      const contents = new Set(seen.map(({ path }) => contentOf(chain, path)));
      const kept = told.filter(({ kind, sizeBytes }) => kind === 'kept' && sizeBytes > 512);
      assert.equal(kept.length, contents.size);
    }),
    { numRuns: 60 },
  );
});

/** What the topmost layer that has the path says. */
function contentOf(chain: readonly (readonly Member[])[], path: string): string | undefined {
  return chain.flat().findLast((one) => one.path === path)?.content;
}
