import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { recipePath, StoredBlob } from '#content';
import { buildIndex, IndexFile, type IndexInode } from '#erofs';
import type { DiffID, Digest } from '#oci';
import { layerTag, relocateByRecipes } from '#snapshots';
import { temporaryFolder } from '#testing';
import { type HeavyLayer, type LightLayer, lightenLayers, refillLayer } from './lighten.ts';
import { file, folder, type Member, tarOf } from './testsuite/layers.ts';

/** Contents of few kinds, so that layers have them in common; some smaller than a block of the disk, some that end in its middle. */
const contents = [0, 1, 511, 512, 4096, 5000, 9000, 20_000, 70_000].map((size, kind) => `${kind}`.repeat(size));
const member = fc.record({
  name: fc.nat({ max: 30 }),
  kind: fc.nat({ max: contents.length - 1 }),
  links: fc.boolean(),
});
const layers = fc.array(fc.array(member, { minLength: 1, maxLength: 25 }), { minLength: 2, maxLength: 5 });

/** Each name once, and hardlinks to some. */
function membersOf(items: readonly { name: number; kind: number; links: boolean }[]): Member[] {
  const named = new Map(items.map((item) => [item.name, item]));
  return [
    folder('d'),
    ...[...named.values()].flatMap(({ name, kind, links }): Member[] => [
      file(`d/f${name}`, contents[kind]!, { mtime: { sec: name, nsec: 0 } }),
      ...(links ? [{ type: 'hardlink', path: `l${name}`, linkPath: `d/f${name}` } as const] : []),
    ]),
    { type: 'char', path: 'd/null', devMajor: 1, devMinor: 3 },
    file('.wh.gone', ''),
    file('opaque/.wh..wh..opq', ''),
  ];
}

/** A store as the engine has it, of these tars. */
function stock(root: string, tars: readonly Buffer[]) {
  rmSync(root, { recursive: true, force: true });
  for (const name of ['blobs/sha256', 'recipes/sha256', 'lists']) mkdirSync(join(root, name), { recursive: true });
  const digests = new Set(tars.map((bytes) => createHash('sha256').update(bytes).digest('hex')));
  return [...digests].map((hex): HeavyLayer & { readonly bytes: Buffer; readonly index: string } => {
    const bytes = tars.find((tar) => createHash('sha256').update(tar).digest('hex') === hex)!;
    const diffID = `sha256:${hex}` as DiffID;
    const tar = join(root, 'blobs/sha256', hex);
    writeFileSync(tar, bytes);
    const index = join(root, `${hex}.erofs`);
    buildIndex({ tarPath: tar, tag: layerTag(diffID), indexPath: index });
    return { diffID, tar, list: join(root, 'lists', hex), staged: join(root, `${hex}.staged`), bytes, index };
  });
}

function place({ tar, staged }: HeavyLayer, { recipe }: LightLayer): void {
  if (!recipe) return;
  mkdirSync(dirname(recipePath(tar)), { recursive: true });
  writeFileSync(recipePath(tar), recipe);
  renameSync(staged, tar);
}

/** All that an index says, with what its files hold as the kernel reads it: from the files of its devices as they are. */
function told(
  path: string,
  fileOf: (tag: string) => string,
  read: (path: string, offset: number, target: Buffer) => void,
) {
  using index = IndexFile.open(path);
  return [...index.walk()].map(({ path: at, inode }) => {
    const { nid: _, xattrs, ...facts } = inode;
    return { at, ...facts, xattrs: [...xattrs], content: contentOf(index, inode, fileOf, read) };
  });
}

function contentOf(
  index: IndexFile,
  inode: IndexInode,
  fileOf: (tag: string) => string,
  read: (path: string, offset: number, target: Buffer) => void,
): string {
  if (inode.type !== 'file') return '';
  const content = Buffer.alloc(inode.sizeBytes);
  for (const { offset, lengthBytes, device, deviceOffset } of index.runs(inode)) {
    const part = content.subarray(offset, offset + lengthBytes);
    if (device === 0) index.read(part, deviceOffset);
    else read(fileOf(index.devices[device - 1]!.tag), deviceOffset, part);
  }
  return createHash('sha256').update(content).digest('hex');
}

const raw = (path: string, offset: number, target: Buffer) => {
  const fd = openSync(path, 'r');
  assert.equal(readSync(fd, target, 0, target.length, offset), target.length);
  closeSync(fd);
};
const byRecipe = (path: string, offset: number, target: Buffer) => {
  using blob = StoredBlob.open(path);
  blob.readFully(target, offset);
};

function readWhole(path: string): Buffer {
  using blob = StoredBlob.open(path);
  const bytes = Buffer.alloc(blob.sizeBytes);
  blob.readFully(bytes, 0);
  return bytes;
}

test('layers that read files of each other read as before; so does what the kernel is given, and what is given back', async () => {
  await using held = await temporaryFolder();
  const root = join(held.path, 'store');
  let shared = 0;
  fc.assert(
    fc.property(layers, (chain) => {
      const stocked = stock(
        root,
        chain.map((items) => tarOf(membersOf(items))),
      );
      const fileOf = (tag: string) => join(root, 'blobs/sha256', tag);
      const before = stocked.map(({ index }) => told(index, fileOf, raw));
      let at = 0;
      for (const light of lightenLayers(stocked, [])) {
        assert.equal(light.diffID, stocked[at]!.diffID);
        place(stocked[at++]!, light);
        shared += light.sharedBytes;
      }
      for (const [number, { tar, index, diffID, bytes }] of stocked.entries()) {
        assert.ok(readWhole(tar).equals(bytes));
        assert.deepEqual(told(index, fileOf, byRecipe), before[number]);
        const placed = `${index}.placed`;
        relocateByRecipes({ index, placed, tars: { [layerTag(diffID)]: tar } });
        assert.deepEqual(told(placed, fileOf, raw), before[number]);
      }
      giveBack(stocked);
    }),
    { numRuns: 25 },
  );
  assert.ok(shared > 1 << 20, `${shared} bytes were shared in all`);
});

/** The first layer goes, after those that read from it have its bytes back. */
function giveBack([gone, ...others]: readonly (HeavyLayer & { readonly bytes: Buffer })[]): void {
  for (const { tar, staged } of others) {
    rmSync(staged, { force: true });
    const { recipe } = refillLayer({ tar, staged }, [gone!.diffID as string as Digest]);
    renameSync(staged, tar);
    if (recipe) writeFileSync(recipePath(tar), recipe);
    else rmSync(recipePath(tar), { force: true });
  }
  rmSync(gone!.tar);
  for (const { tar, bytes } of others) assert.ok(readWhole(tar).equals(bytes));
}

test('a copy that is no copy any more is left alone', async () => {
  await using held = await temporaryFolder();
  const content = 'x'.repeat(50_000);
  const stocked = stock(join(held.path, 'store'), [
    tarOf([file('a', content)]),
    tarOf([file('b', content), file('c', 'y')]),
  ]);
  const donors = [...lightenLayers(stocked.slice(0, 1), [])].map(() => stocked[0]!);
  const { tar } = stocked[0]!;
  const bytes = readFileSync(tar);
  bytes[1000] = 0;
  writeFileSync(tar, bytes);
  const [light] = [...lightenLayers(stocked.slice(1), donors)];
  assert.deepEqual([light!.differing, light!.recipe], [true, undefined]);
  assert.equal(statSync(stocked[1]!.staged, { throwIfNoEntry: false }), undefined);
});
