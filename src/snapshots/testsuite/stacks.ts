import { file, folder, hardlink, type Item, node, opaque, symlink, whiteout } from './layers.ts';

export interface Stack {
  readonly name: string;
  /** From the bottom up. */
  readonly layers: readonly (readonly Item[])[];
}

const xattrs = (values: Record<string, string | Uint8Array>) =>
  new Map(Object.entries(values).map(([name, value]) => [name, Buffer.from(value)]));

/** cap_net_raw+ep as the kernel stores it, version 2. */
const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
const longName = 'n'.repeat(255);
const deepPath = Array.from({ length: 12 }, (_, index) => `level-${index}-${'x'.repeat(40)}`);

/** Chains on which every driver must show the same tree, down to the last attribute. */
export const stacks: readonly Stack[] = [
  { name: 'no layers', layers: [] },
  { name: 'an empty layer', layers: [[]] },
  {
    name: 'files of every type and mode',
    layers: [
      [
        folder('./', { mode: 0o711, uid: 5, gid: 6 }),
        folder('dir', { mode: 0o1777, uid: 1000, gid: 100_000 }),
        file('dir/setuid', 'x', { mode: 0o4755, uid: 65_534, gid: 2_000_000_000 }),
        file('empty', ''),
        file('none', 'secret', { mode: 0 }),
        file('large', Buffer.alloc(3_000_001, 'abcdefg')),
        symlink('dir/absolute', '/dir/setuid', { uid: 7, gid: 8 }),
        symlink('dangling', '../../nowhere'),
        node('dir/null', 'char', 1, 3),
        node('disk', 'block', 259, 70_000),
        node('pipe', 'fifo'),
      ],
    ],
  },
  {
    name: 'times to the nanosecond, also before 1970',
    layers: [
      [
        folder('d', { mtime: { sec: 1, nsec: 1 } }),
        file('d/old', 'x', { mtime: { sec: -86_400, nsec: 999_999_999 } }),
        file('zero', 'x', { mtime: { sec: 0, nsec: 0 } }),
        file('later', 'x', { mtime: { sec: 4_000_000_000, nsec: 5 } }),
        symlink('link', 'zero', { mtime: { sec: 3, nsec: 33 } }),
      ],
    ],
  },
  {
    name: 'extended attributes',
    layers: [
      [
        folder('d', { xattrs: xattrs({ 'user.dir': 'one', 'trusted.mine': 'root' }) }),
        file('d/ping', 'x', { mode: 0o755, uid: 3, xattrs: xattrs({ 'security.capability': capability }) }),
        file('d/bytes', 'x', { xattrs: xattrs({ 'user.bin': Buffer.from([0, 255, 10, 61]), 'user.empty': '' }) }),
      ],
      [folder('d', { xattrs: xattrs({ 'user.other': 'two' }) })],
    ],
  },
  {
    name: 'attributes that speak to overlayfs are not taken from a layer',
    layers: [
      [folder('d'), file('d/below', 'x'), folder('e'), file('e/target', 'x')],
      [
        folder('d', { xattrs: xattrs({ 'trusted.overlay.opaque': 'y' }) }),
        folder('moved', { xattrs: xattrs({ 'trusted.overlay.redirect': '/e' }) }),
        file('hollow', '', { xattrs: xattrs({ 'trusted.overlay.metacopy': '' }) }),
      ],
    ],
  },
  {
    name: 'names of any bytes and any length',
    layers: [
      [
        file('with space\n#"\'\\', 'x'),
        file('naïve/ünïcode', 'x'),
        { ...file('x', 'raw'), path: 'raw-\xff\xfe\x80' },
        file(longName, 'x'),
        file(deepPath.join('/'), 'x'),
        file('comma,colon:equals=', 'x'),
      ],
    ],
  },
  {
    name: 'a later layer replaces and merges',
    layers: [
      [folder('d'), file('d/a', 'one'), file('d/b', 'one'), folder('d/sub'), file('d/sub/x', 'x')],
      [folder('d', { mode: 0o700, uid: 9 }), file('d/a', 'two'), folder('d/sub'), file('d/sub/y', 'y')],
      [folder('d', { mode: 0o750, uid: 10 }), file('d/b', 'three', { mode: 0o600 })],
    ],
  },
  {
    name: 'whiteouts of files and folders',
    layers: [
      [folder('d'), file('d/a'), file('d/b'), folder('gone'), file('gone/x'), file('top')],
      [folder('d'), whiteout('d/a'), whiteout('gone'), whiteout('top'), whiteout('never-was')],
      [folder('d'), file('d/a', 'back')],
    ],
  },
  {
    name: 'a folder that comes back after a whiteout is empty',
    layers: [
      [folder('d'), file('d/old'), folder('e'), file('e/old')],
      [whiteout('d'), whiteout('e')],
      [folder('d'), file('d/new'), folder('e')],
    ],
  },
  {
    name: 'a whiteout and a new file of one name in one layer',
    layers: [
      [file('f', 'one'), folder('d'), file('d/old'), folder('i'), file('i/old')],
      [whiteout('f'), file('f', 'two'), folder('d'), file('d/new'), whiteout('d'), whiteout('i'), file('i/new')],
    ],
  },
  {
    name: 'a folder in the place of a file in the place of what was hidden is empty',
    layers: [
      [folder('d'), file('d/old'), file('linked')],
      [
        whiteout('d'),
        file('d', 'x'),
        folder('d'),
        hardlink('link', 'linked'),
        whiteout('linked'),
        file('linked', 'new'),
      ],
    ],
  },
  {
    name: 'a symlink below that entries went through before the layer replaced it',
    layers: [
      [symlink('s', 'a'), symlink('t', 'b')],
      [file('s/x'), file('s', 'now a file'), file('t/x'), folder('t', { mode: 0o700 }), file('t/y')],
    ],
  },
  {
    name: 'entries go through a symlink below that a hardlink brought along',
    layers: [[symlink('b', 'a')], [hardlink('c', 'b'), folder('b/x'), file('c/y')]],
  },
  {
    name: 'a hardlink to a symlink below that entries went through',
    layers: [[symlink('b', 'a')], [file('b/x'), hardlink('l', 'b')]],
  },
  {
    name: 'opaque folders',
    layers: [
      [folder('d'), file('d/a'), folder('d/sub'), file('d/sub/x'), file('kept')],
      [folder('d', { mode: 0o700 }), opaque('d'), file('d/new')],
      [folder('d'), file('d/newer')],
    ],
  },
  {
    name: 'whiteouts that hide nothing leave no trace',
    layers: [
      [folder('d'), file('d/a'), folder('bottom'), whiteout('bottom/x')],
      [folder('d'), opaque('d'), whiteout('d/a'), whiteout('d/never'), folder('new'), whiteout('new/x'), file('new/y')],
    ],
  },
  {
    name: 'layers that are in a chain twice',
    layers: [
      [],
      [folder('d'), file('d/a'), file('x')],
      [],
      [folder('d'), whiteout('d/a'), file('d/b'), folder('e'), file('e/1')],
      [folder('d'), file('d/a'), file('x')],
      [],
      [whiteout('e')],
      [folder('d'), whiteout('d/a'), file('d/b'), folder('e'), file('e/1')],
    ],
  },
  {
    name: 'an opaque root hides everything below',
    layers: [
      [file('a'), folder('d'), file('d/x')],
      [file('.wh..wh..opq', ''), folder('d'), file('d/y'), file('b')],
    ],
  },
  {
    name: 'files, folders and symlinks take each other’s place',
    layers: [
      [folder('a'), file('a/x'), file('b', 'x'), symlink('c', 'a'), folder('e'), file('e/deep')],
      [file('a', 'now a file'), folder('b'), file('b/x'), folder('c'), file('c/x'), symlink('e', 'b')],
    ],
  },
  {
    name: 'hardlinks inside a layer',
    layers: [
      [
        folder('d'),
        file('d/one', 'shared', { mode: 0o640 }),
        hardlink('d/two', 'd/one', { uid: 3 }),
        hardlink('three', '/d/one'),
        symlink('l', 'x'),
        hardlink('l2', 'l', { uid: 5 }),
      ],
      [folder('d'), file('d/two', 'replaced')],
    ],
  },
  {
    name: 'hardlinks to a name the layer replaces later',
    layers: [[file('a', 'first'), hardlink('b', 'a'), file('a', 'second')]],
  },
  {
    name: 'hardlinks into the chain below',
    layers: [
      [
        folder('d', { mode: 0o711, uid: 4 }),
        file('d/target', 'data below', { mode: 0o604, uid: 12 }),
        symlink('s', 'x'),
      ],
      [
        hardlink('linked', 'd/target'),
        hardlink('linked-too', 'd/target', { mode: 0o4711, uid: 8 }),
        hardlink('s2', 's', { uid: 9 }),
      ],
    ],
  },
  {
    name: 'a parent the layer does not describe keeps what is below',
    layers: [
      [
        folder('tmp', { mode: 0o1777, uid: 1, gid: 2, xattrs: xattrs({ 'user.keep': 'me' }) }),
        folder('tmp/a', { mode: 0o700 }),
      ],
      [file('tmp/a/x'), file('new/parents/y')],
      [file('tmp/z'), file('new/w')],
    ],
  },
  {
    name: 'a parent that is a symlink is followed inside the root',
    layers: [
      [folder('usr'), folder('usr/bin', { mode: 0o711 }), symlink('bin', 'usr/bin'), symlink('abs', '/usr')],
      [file('bin/tool'), file('abs/lib/so'), symlink('usr/up', '../usr/bin'), file('usr/up/other')],
    ],
  },
  {
    name: 'a root that only the lowest layer describes',
    layers: [[folder('./', { mode: 0o700, uid: 3, gid: 4 }), file('a')], [file('b')], [file('c')]],
  },
  {
    name: 'paths as careless writers put them',
    layers: [
      [
        folder('./d/'),
        file('./d//a', 'x'),
        file('/abs', 'x'),
        file('d/../e', 'x'),
        file('d/./f', 'x'),
        file('.', 'no root'),
      ],
    ],
  },
  {
    name: 'entries that repeat',
    layers: [[file('a', 'one'), folder('d'), file('d/x'), file('a', 'two'), folder('d', { mode: 0o700 }), file('d/y')]],
  },
  {
    name: 'attributes of a folder that a layer describes twice, or that it hides later',
    layers: [
      [
        folder('a', { mode: 0o700, uid: 5, xattrs: xattrs({ 'user.low': '1' }) }),
        folder('b', { mode: 0o700 }),
        folder('b/c', { mode: 0o711 }),
      ],
      [
        folder('d', { xattrs: xattrs({ 'user.one': '1' }) }),
        folder('d', { xattrs: xattrs({ 'user.two': '2' }) }),
        file('a/x'),
        whiteout('a'),
        file('b/c/x'),
        opaque('b'),
      ],
      [file('d/x'), folder('d', { xattrs: xattrs({ 'user.three': '3' }) })],
    ],
  },
  {
    name: 'names of attributes that are not UTF-8, and those only root sees',
    layers: [
      [file('f', 'x', { xattrs: xattrs({ 'user.\xff\xfe': 'raw', 'user.caf\xc3\xa9': 'é', 'trusted.mine': 'root' }) })],
    ],
  },
  {
    name: 'the longest name, hidden',
    layers: [[file(longName), file('other')], [whiteout(longName)]],
  },
  {
    name: 'sixty layers',
    layers: Array.from({ length: 60 }, (_, index) => [
      folder('d'),
      file(`d/file-${index}`, `data ${index}`),
      file('d/same', `version ${index}`),
      ...(index > 0 && index % 3 === 0 ? [whiteout(`d/file-${index - 1}`)] : []),
    ]),
  },
];
