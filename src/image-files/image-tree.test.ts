import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { mergeIndexes } from '#erofs';
import { isKind } from '#errdefs';
import { temporaryFolder } from '#testing';
import { describeFile } from './describe.ts';
import { FileBytes } from './file-bytes.ts';
import { type ImageTree, openImageTree } from './image-tree.ts';
import { below } from './list.ts';
import type { TreeSource } from './protocol.ts';
import { file, folder, imageIn, type Member, tarOf } from './testsuite/layers.ts';

const names = ['a', 'b', 'd', 'd/a', 'd/b', 'd/e', 'd/e/a', 'd/e/f/g'] as const;
const owner = { uid: fc.nat(3), mode: fc.constantFrom(0o644, 0o4755, 0o600) };
const member = fc.oneof(
  fc
    .record({
      name: fc.constantFrom(...names),
      content: fc.string({ maxLength: 2000, unit: 'binary-ascii' }),
      ...owner,
    })
    .map(({ name, content, uid, mode }) => file(name, content, { uid, mode })),
  fc.constantFrom(...names).map((name) => file(name.replace(/[^/]+$/, '.wh.$&'), '')),
  fc.constantFrom('d', 'd/e', 'd/e/f').map((name) => folder(name)),
  fc.constantFrom('d', 'd/e').map((name) => file(`${name}/.wh..wh..opq`, '')),
  fc.constantFrom('a', 'd/b').map((path): Member => ({ type: 'symlink', path, linkPath: 'd/e' })),
);

/** A tar that no extractor refuses: no entry below what is no folder. */
function isSound(members: readonly Member[]): boolean {
  const leaves = members.filter(({ type, path }) => type !== 'directory' && !path.includes('.wh.'));
  return !members.some(({ path }) => leaves.some((leaf) => path.startsWith(`${leaf.path}/`)));
}

function told(tree: ImageTree, source: TreeSource): unknown[] {
  using bytes = new FileBytes((layer) => source.tars[source.chain.indexOf(layer)]!);
  return [...below(tree, tree.root)].map((found) => {
    const { layer: _, ...facts } = describeFile(tree, found);
    const content = Buffer.alloc(tree.inode(found.node).type === 'file' ? facts.sizeBytes : 0);
    bytes.read(tree.data(found.node), content, 0);
    return { ...facts, content: content.toString('latin1') };
  });
}

test('the merged view of layers is what one index of all of them says', async () => {
  await using held = await temporaryFolder();
  let run = 0;
  const layers = fc.array(fc.array(member, { maxLength: 10 }).filter(isSound), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(layers, (chain) => {
      const source = imageIn(held.path, `run${++run}`, chain.map(tarOf));
      const merged = join(held.path, 'merged.erofs');
      rmSync(merged, { force: true });
      const tarOfTag = (tag: string) => source.tars[source.chain.findIndex((diffID) => diffID.endsWith(tag))]!;
      mergeIndexes({ indexes: source.indexes.toReversed(), indexPath: merged, tarOf: tarOfTag });
      using tree = openImageTree(source);
      using one = openImageTree({ ...source, indexes: [merged] });
      assert.deepEqual(told(tree, source), told(one, source));
    }),
    { numRuns: 60 },
  );
});

test('paths are resolved inside the image, however they are written', async () => {
  await using held = await temporaryFolder();
  const link = (path: string, linkPath: string): Member => ({ type: 'symlink', path, linkPath });
  const members = [
    file('etc/passwd', 'inside'),
    link('up', '../../../etc'),
    link('abs', '/etc/../etc//passwd'),
    link('a', 'b'),
    link('b', 'a'),
    link('dangling', 'nowhere'),
    file('caf\xc3\xa9', 'utf-8'),
    file('caf\xe9', 'latin-1'),
    ...Array.from({ length: 41 }, (_, at) => link(`chain${at}`, at === 0 ? 'etc' : `chain${at - 1}`)),
  ];
  using tree = openImageTree(imageIn(held.path, 'image', [tarOf(members)]));
  const find = (path: string, follow = true) => tree.find(Buffer.from(path).toString('latin1'), { follow }).path;
  for (const path of ['/etc/passwd', 'etc/passwd', 'up/passwd', '/../up/./passwd', 'abs', 'etc/../../abs']) {
    assert.equal(find(path), 'etc/passwd', path);
  }
  assert.equal(find('abs', false), 'abs');
  assert.equal(find('/'), '');
  assert.equal(find('café'), 'caf\xc3\xa9');
  assert.equal(find('caf\ufffd'), 'caf\xe9');
  assert.equal(find('chain39/passwd'), 'etc/passwd');
  const refused = (path: string, kind: 'not-found' | 'invalid-argument') =>
    assert.throws(
      () => find(path),
      (error) => isKind(error, kind),
      path,
    );
  for (const path of ['nope', 'etc/nope', 'etc/passwd/x', 'etc/passwd/', 'etc/passwd/.', 'abs/..', 'dangling']) {
    refused(path, 'not-found');
  }
  for (const path of ['a', 'b/x', 'chain40']) refused(path, 'invalid-argument');
});
