import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TarParser } from '#archive';
import { splitPath } from './names.ts';
import { file, folder, hardlink, type Item, opaque, symlink, tarOf, whiteout } from './testsuite/layers.ts';
import { type BelowLookup, isFolder, type LayerFolder, LayerTree } from './tree.ts';

function treeOf(items: readonly Item[], below?: BelowLookup): LayerTree {
  const tree = new LayerTree(below);
  const parser = new TarParser({ entry: (entry) => tree.add(entry) });
  parser.write(tarOf(items));
  parser.end();
  return tree;
}

/** The tree in lines: folders end in a slash (implied ones in `/?`), then whiteouts and opacity. */
function lines(node: LayerFolder, path = ''): string[] {
  const found = [...node.whiteouts].map((name) => `${path}-${name}`);
  if (node.opaque) found.push(`${path}opaque`);
  for (const [name, child] of node.children) {
    if (!isFolder(child)) found.push(path + name);
    else found.push(`${path}${name}/${child.attributes ? '' : '?'}`, ...lines(child, `${path}${name}/`));
  }
  return found.sort();
}

test('folders that hold something but have no entry are implied', () => {
  assert.deepEqual(lines(treeOf([file('a/b/c'), folder('a')]).root), ['a/', 'a/b/?', 'a/b/c']);
});

test('whiteouts and opaque markers are no files', () => {
  const tree = treeOf([folder('d'), opaque('d'), whiteout('d/x'), whiteout('y')]);
  assert.deepEqual(lines(tree.root), ['-y', 'd/', 'd/-x', 'd/opaque']);
});

test('what AUFS kept for itself is skipped', () => {
  assert.deepEqual(lines(treeOf([file('.wh..wh.plnk/1', 'x'), file('.wh..wh.aufs', 'x')]).root), []);
});

test('a file replaces a folder with all in it, and a folder keeps what it has', () => {
  const tree = treeOf([folder('a'), file('a/x'), file('a', 'f'), folder('b'), file('b/x'), folder('b')]);
  assert.deepEqual(lines(tree.root), ['a', 'b/', 'b/x']);
});

test('symlinks on the way are followed in the layer and below', () => {
  const below: BelowLookup = (path) => (path.join('/') === 'lib' ? { target: '/usr/lib' } : undefined);
  const tree = treeOf([symlink('bin', '/usr/bin'), file('bin/tool'), file('lib/so')], below);
  assert.deepEqual(lines(tree.root), ['bin', 'usr/?', 'usr/bin/?', 'usr/bin/tool', 'usr/lib/?', 'usr/lib/so']);
});

test('a symlink that climbs out of the root is refused once something is below it', () => {
  const items = [symlink('up', '../../etc')];
  assert.deepEqual(lines(treeOf(items).root), ['up']);
  assert.throws(() => treeOf([...items, file('up/x')]), {
    kind: 'invalid-argument',
    message: 'statat up: path escapes from parent',
  });
});

test('hardlinks share the file they name at that moment', () => {
  const { root } = treeOf([file('a', 'one'), hardlink('b', 'a'), file('a', 'two'), hardlink('c', 'a')]);
  const inode = (name: string) => root.children.get(name);
  assert.notEqual(inode('a'), inode('b'));
  assert.equal(inode('a'), inode('c'));
});

test('a hardlink into the chain below brings its target along', () => {
  const below: BelowLookup = (path) => (path.join('/') === 'd' ? {} : undefined);
  const tree = treeOf([hardlink('a', 'd/target')], below);
  assert.deepEqual(lines(tree.root), ['a', 'd/?', 'd/target']);
  assert.equal(tree.linksBelow.length, 1);
});

test('a symlink below that a hardlink brought along is gone through, under either name', () => {
  const below: BelowLookup = (path) => (path.join('/') === 'b' ? { target: 'a' } : undefined);
  const tree = treeOf([hardlink('c', 'b'), folder('b/x'), file('c/y')], below);
  assert.deepEqual(lines(tree.root), ['a/?', 'a/x/', 'a/y', 'b', 'c']);
});

test('a hardlink to what the layer removed is refused', () => {
  const below: BelowLookup = () => undefined;
  assert.throws(() => treeOf([whiteout('t'), hardlink('a', 't')], below), { kind: 'invalid-argument' });
});

test('no path resolves to outside of the root', () => {
  const part = fc.constantFrom('..', '.', '', 'a', 'b', '...', '.wh');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), fc.boolean(), (parts, isAbsolute) => {
      const path = (isAbsolute ? '/' : '') + parts.join('/');
      let depth = 0;
      let escapes = false;
      for (const name of parts) {
        if (name === '..') depth--;
        else if (name !== '' && name !== '.') depth++;
        if (depth < 0) escapes = true;
        depth = Math.max(depth, 0);
      }
      if (escapes) assert.throws(() => splitPath(path, 'entry name'), { kind: 'invalid-argument' });
      else assert.ok(splitPath(path, 'entry name').every((name) => name !== '..' && name !== '.' && name !== ''));
    }),
  );
});
