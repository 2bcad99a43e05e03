import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readFileSync, readSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesFromUtf8, endOfArchive, type PackEntry, packHeader, packPadding, packTar } from '#archive';
import { isKind } from '#errdefs';
import { readAll } from '#streams';
import { temporaryFolder } from '#testing';
import { type BuiltIndex, buildIndex, IndexFile, isOpaque, isWhiteout, LayerIndexer, mergeIndexes } from './index.ts';

type File = { entry: PackEntry; body?: Uint8Array };

const file = (path: string, content = '', more: Partial<PackEntry> = {}): File => ({
  entry: { type: 'file', path, mode: 0o644, sizeBytes: content.length, ...more },
  body: Buffer.from(content, 'latin1'),
});
const folder = (path: string, more: Partial<PackEntry> = {}): File => ({
  entry: { type: 'directory', path, mode: 0o755, ...more },
});
const symlink = (path: string, linkPath: string): File => ({ entry: { type: 'symlink', path, linkPath, mode: 0o777 } });
const hardlink = (path: string, linkPath: string): File => ({ entry: { type: 'hardlink', path, linkPath } });

/** A folder with layers in it: tar and index by tag. */
class Layers implements AsyncDisposable {
  readonly path: string;
  readonly #folder: AsyncDisposable;
  readonly #open: IndexFile[] = [];

  private constructor(folder: AsyncDisposable & { path: string }) {
    this.#folder = folder;
    this.path = folder.path;
  }

  static async open(): Promise<Layers> {
    return new Layers(await temporaryFolder());
  }

  async build(
    tag: string,
    files: readonly File[] | Buffer,
    lower?: readonly string[],
  ): Promise<BuiltIndex & { index: IndexFile }> {
    const tarPath = join(this.path, `${tag}.tar`);
    writeFileSync(tarPath, Buffer.isBuffer(files) ? files : await readAll(packTar(files), 1 << 28));
    const indexPath = join(this.path, `${tag}.erofs`);
    const built = buildIndex({
      tarPath,
      tag,
      indexPath,
      tarOf: (name) => join(this.path, `${name}.tar`),
      ...(lower && { lower: lower.map((name) => join(this.path, `${name}.erofs`)) }),
    });
    const index = IndexFile.open(indexPath);
    this.#open.push(index);
    return { ...built, index };
  }

  /** The content of a file through the tars, as the kernel would read it. */
  read(index: IndexFile, path: string): string {
    const inode = index.find(path)!;
    assert.equal(inode.type, 'file', path);
    const content = Buffer.alloc(inode.sizeBytes);
    for (const run of index.runs(inode)) {
      const target = content.subarray(run.offset, run.offset + run.lengthBytes);
      if (run.device === 0) index.read(target, run.deviceOffset);
      else this.#readTar(index.devices[run.device - 1]!.tag, target, run.deviceOffset);
    }
    return content.toString('latin1');
  }

  #readTar(tag: string, target: Buffer, offset: number): void {
    const fd = openSync(join(this.path, `${tag}.tar`), 'r');
    assert.equal(readSync(fd, target, 0, target.length, offset), target.length);
    closeSync(fd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const index of this.#open) index[Symbol.dispose]();
    await this.#folder[Symbol.asyncDispose]();
  }
}

const pathsOf = (index: IndexFile): string[] => [...index.walk()].map(({ path }) => path);

test('every type and attribute comes back', async () => {
  await using layers = await Layers.open();
  const capability = Buffer.from([1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  const acl = Buffer.from([2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255]);
  const common = { uid: 70_000, gid: 4_000_000_000, mtime: { sec: -5, nsec: 123_456_789 } };
  const { index, ...built } = await layers.build('a', [
    folder('.', { mode: 0o1777, mtime: { sec: 9, nsec: 1 } }),
    file('f', 'content', {
      ...common,
      mode: 0o6755,
      xattrs: new Map<string, Buffer>([
        ['security.capability', capability],
        ['system.posix_acl_access', acl],
        ['user.empty', Buffer.alloc(0)],
        ['trusted.mine', Buffer.from([0, 255])],
        ['trusted.overlay.redirect', Buffer.from('/etc')],
        ['weird.name', Buffer.from('x')],
      ]),
    }),
    file('empty'),
    symlink('s', bytesFromUtf8('../zi\u00ebl')),
    symlink('long', 'l'.repeat(4000)),
    { entry: { type: 'char', path: 'null', devMajor: 1, devMinor: 3, mode: 0o666 } },
    { entry: { type: 'block', path: 'disk', devMajor: 259, devMinor: 70_000, mode: 0o660 } },
    { entry: { type: 'fifo', path: 'pipe', mode: 0o600 } },
    { entry: { type: 'hardlink', path: 'd/hard', linkPath: 'f', mode: 0o6755, ...common } },
    folder('d', { mode: 0o700, ...common }),
    file(`d/\xff\xfe${'n'.repeat(253)}`, 'odd'),
  ]);
  assert.deepEqual(built.devices, ['a']);
  // `d` comes after what is in it: were it a symlink below, that would have gone elsewhere.
  assert.deepEqual([built.impliedParents, built.outsideHardlinks, built.impliedRoot], [true, false, false]);
  assert.equal(index.root.mode, 0o1777);
  const f = index.find('f')!;
  assert.deepEqual(
    [f.mode, f.uid, f.gid, f.mtime, f.links, f.sizeBytes],
    [0o6755, 70_000, 4_000_000_000, { sec: -5, nsec: 123_456_789 }, 2, 7],
  );
  assert.deepEqual(
    [...f.xattrs],
    [
      ['security.capability', capability],
      ['system.posix_acl_access', acl],
      ['trusted.mine', Buffer.from([0, 255])],
      ['user.empty', Buffer.alloc(0)],
    ],
  );
  assert.equal(index.find('d/hard')!.nid, f.nid);
  assert.equal(layers.read(index, 'd/hard'), 'content');
  assert.equal(index.find('empty')!.sizeBytes, 0);
  assert.equal(index.find('s')!.linkPath, bytesFromUtf8('../zi\u00ebl'));
  assert.equal(index.find('long')!.linkPath, 'l'.repeat(4000));
  const disk = index.find('disk')!;
  assert.deepEqual([disk.type, disk.devMajor, disk.devMinor], ['block', 259, 70_000]);
  assert.equal(index.find('pipe')!.type, 'fifo');
  assert.deepEqual([index.find('d')!.mode, index.find('d')!.links, index.root.links], [0o700, 2, 3]);
  assert.equal(layers.read(index, `d/\xff\xfe${'n'.repeat(253)}`), 'odd');
  assert.equal(index.find('d/none'), undefined);
  assert.equal(index.find('f/none'), undefined);
});

test('a hardlink gives its file the owner, mode and time of its header, a symlink only the owner', async () => {
  await using layers = await Layers.open();
  const header = { uid: 5, gid: 6, mode: 0o4711, mtime: { sec: 7, nsec: 8 } };
  const { index } = await layers.build('a', [
    file('f', 'x', { mode: 0o600, uid: 1 }),
    { entry: { type: 'hardlink', path: 'g', linkPath: 'f', ...header } },
    { entry: { type: 'symlink', path: 's', linkPath: 'f', mode: 0o644, mtime: { sec: 1, nsec: 0 } } },
    { entry: { type: 'hardlink', path: 't', linkPath: 's', ...header } },
  ]);
  const facts = (path: string) => {
    const { mode, uid, gid, mtime } = index.find(path)!;
    return [mode, uid, gid, mtime.sec];
  };
  for (const name of ['f', 'g']) assert.deepEqual(facts(name), [0o4711, 5, 6, 7]);
  for (const name of ['s', 't']) assert.deepEqual(facts(name), [0o777, 5, 6, 1]);
});

test('the same layer gives the same index, whatever the tar holds beside it', async () => {
  await using layers = await Layers.open();
  const files = [folder('d'), file('d/a', 'x'), symlink('d/s', 'a'), hardlink('h', 'd/a')];
  await layers.build('a', files);
  const first = readFileSync(join(layers.path, 'a.erofs'));
  writeFileSync(join(layers.path, 'b.tar'), readFileSync(join(layers.path, 'a.tar')));
  buildIndex({ tarPath: join(layers.path, 'b.tar'), tag: 'a', indexPath: join(layers.path, 'b.erofs') });
  assert.deepEqual(readFileSync(join(layers.path, 'b.erofs')), first);
});

test('large directories keep byte order and are found by name', async () => {
  await using layers = await Layers.open();
  const names = Array.from({ length: 20_000 }, (_, i) => `${String.fromCharCode(33 + (i % 90)).replace('/', '0')}${i}`);
  const { index } = await layers.build(
    'a',
    names.map((name) => file(`big/${name}`)),
  );
  assert.deepEqual(pathsOf(index).slice(2), names.map((name) => `big/${name}`).sort());
  for (const name of [names[0]!, names[777]!, names[19_999]!]) assert.equal(index.find(`big/${name}`)!.type, 'file');
  assert.equal(index.find('big/!'), undefined);
  assert.equal(index.find('big/~~~'), undefined);
});

test('whiteouts and opaque directories', async () => {
  await using layers = await Layers.open();
  const { index } = await layers.build('a', [
    folder('d'),
    file('d/.wh.gone'),
    file('d/.wh..wh..opq'),
    file('.wh.back'),
    folder('back'),
    folder('early'),
    file('.wh.early'),
    file('.wh.made'),
    file('made/below', 'x'),
    file('stays', 'y'),
    file('.wh.stays'),
    folder('.wh..wh.plnk'),
    file('.wh..wh.plnk/1.2', 'aufs'),
  ]);
  assert.deepEqual(pathsOf(index), ['', 'back', 'd', 'd/gone', 'early', 'made', 'made/below', 'stays']);
  assert.equal(isWhiteout(index.find('d/gone')!), true);
  for (const path of ['d', 'back', 'early', 'made']) assert.equal(isOpaque(index.find(path)!), true, path);
  assert.equal(isOpaque(index.root), false);
  assert.equal(layers.read(index, 'stays'), 'y');
});

test('later entries replace earlier ones as extraction does', async () => {
  await using layers = await Layers.open();
  const { index } = await layers.build('a', [
    file('twice', 'one'),
    hardlink('kept', 'twice'),
    file('twice', 'two'),
    folder('d'),
    file('d/x', 'x'),
    file('d', 'now a file'),
    file('e', 'was a file'),
    folder('e'),
    file('e/y', 'y'),
    folder('m', { mode: 0o700, xattrs: new Map([['user.a', Buffer.from('1')]]) }),
    file('m/in', 'z'),
    folder('m', { mode: 0o711, xattrs: new Map([['user.b', Buffer.from('2')]]) }),
    hardlink('twice', 'twice'),
  ]);
  assert.deepEqual(pathsOf(index), ['', 'd', 'e', 'e/y', 'kept', 'm', 'm/in', 'twice']);
  assert.equal(layers.read(index, 'kept'), 'one');
  assert.equal(layers.read(index, 'twice'), 'two');
  assert.equal(index.find('twice')!.links, 1);
  assert.equal(layers.read(index, 'd'), 'now a file');
  assert.equal(index.find('m')!.mode, 0o711);
  assert.deepEqual([...index.find('m')!.xattrs.keys()], ['user.a', 'user.b']);
});

test('entries below symlinks go where the links lead, inside the root', async () => {
  await using layers = await Layers.open();
  const { index } = await layers.build('a', [
    folder('usr'),
    folder('usr/lib'),
    symlink('lib', '/usr/lib'),
    symlink('usr/up', '..'),
    symlink('dangling', 'new/place'),
    file('lib/a', '1'),
    file('usr/up/top', '2'),
    file('dangling/b', '3'),
    hardlink('usr/up/lib/c', 'lib/a'),
  ]);
  assert.equal(layers.read(index, 'usr/lib/a'), '1');
  assert.equal(layers.read(index, 'top'), '2');
  assert.equal(layers.read(index, 'new/place/b'), '3');
  assert.equal(index.find('usr/lib/c')!.nid, index.find('usr/lib/a')!.nid);
  assert.equal(index.find('lib')!.type, 'symlink');
});

test('what leaves the root or cannot be is refused, and no index is left', async () => {
  await using layers = await Layers.open();
  const hostile: Record<string, File[]> = {
    'path above': [file('../x')],
    'path above, later': [file('a/../../x')],
    'link above': [file('a'), hardlink('b', '../etc/passwd')],
    'link to a directory': [folder('d'), hardlink('b', 'd')],
    'below a file': [file('f'), file('f/x')],
    'symlink loop': [symlink('l', 'l'), file('l/x')],
    'absolute path above': [file('/abs/../../x')],
    'symlink above': [symlink('s', '../../etc'), file('s/x')],
    'whiteout of nothing': [file('d/.wh.')],
    'whiteout of parent': [file('d/.wh...')],
    'long name': [file('n'.repeat(256))],
    'long path': [file('n/'.repeat(2100))],
    'owner out of range': [file('a', '', { uid: 2 ** 32 - 1 })],
    'device out of range': [{ entry: { type: 'char', path: 'c', devMajor: 4096, devMinor: 0 } }],
    'empty symlink': [symlink('s', '')],
    'large attribute': [file('a', '', { xattrs: new Map([['user.x', Buffer.alloc(66_000)]]) })],
  };
  let number = 0;
  for (const [name, files] of Object.entries(hostile)) {
    const tag = `h${number++}`;
    await assert.rejects(layers.build(tag, files), (error) => isKind(error, 'invalid-argument'), name);
    assert.equal(existsSync(join(layers.path, `${tag}.erofs`)), false, name);
  }
  const { index } = await layers.build('ok', [
    file('/abs/./x', '1'),
    file('/a/../y', '2'),
    file('./z//', ''),
    file('.', 'passed over'),
  ]);
  assert.deepEqual(pathsOf(index), ['', 'abs', 'abs/x', 'y', 'z']);
});

test('what a layer needs from below is said, and filled in from the chain', async () => {
  await using layers = await Layers.open();
  const base = [
    folder('.', { mode: 0o711 }),
    folder('tmp', { mode: 0o1777, mtime: { sec: 77, nsec: 5 }, xattrs: new Map([['user.t', Buffer.from('t')]]) }),
    file('tmp/.wh..wh..opq'),
    file('target', 'lower data'),
    folder('real'),
    symlink('way', 'real'),
    file('gone', ''),
    symlink('old', 'target'),
  ];
  await layers.build('a', base);
  await layers.build('b', [file('.wh.gone'), file('tmp/b', 'b')]);
  const upper = [
    file('tmp/x/y', '1'),
    file('way/in', '2'),
    hardlink('deep/hard', 'target'),
    hardlink('oldlink', 'old'),
  ];
  const alone = await layers.build('c', upper);
  assert.deepEqual([alone.impliedParents, alone.outsideHardlinks, alone.impliedRoot], [true, true, true]);
  assert.equal(alone.index.find('deep'), undefined);
  const { index, ...built } = await layers.build('d', upper, ['b', 'a']);
  assert.deepEqual([built.impliedParents, built.outsideHardlinks, built.impliedRoot], [false, false, false]);
  assert.deepEqual(built.devices, ['d', 'a']);
  assert.equal(index.root.mode, 0o755, 'the root of the layer above the base wins');
  const tmp = index.find('tmp')!;
  assert.deepEqual([tmp.mode, tmp.mtime.sec], [0o755, 0], 'b is a layer indexed alone: its implied tmp is 0755');
  assert.equal(layers.read(index, 'real/in'), '2');
  assert.equal(index.find('way'), undefined);
  assert.equal(layers.read(index, 'deep/hard'), 'lower data');
  assert.equal(index.find('target')!.nid, index.find('deep/hard')!.nid);
  assert.equal(index.find('oldlink')!.linkPath, 'target');
  const direct = await layers.build('e', upper, ['a']);
  const kept = direct.index.find('tmp')!;
  assert.deepEqual([kept.mode, kept.mtime, isOpaque(kept)], [0o1777, { sec: 77, nsec: 5 }, false]);
  assert.deepEqual([...kept.xattrs.keys()], ['user.t']);
  assert.equal(direct.index.root.mode, 0o711);
  await assert.rejects(
    layers.build('f', [hardlink('x', 'gone')], ['b', 'a']),
    /linkat .* x: no such file or directory/,
  );
  await assert.rejects(
    layers.build('g', [hardlink('x', 'none')], ['b', 'a']),
    /linkat .* x: no such file or directory/,
  );
});

function sparseTar(size: number, segments: readonly (readonly [number, Buffer])[]): Buffer {
  const map = segments.map(([offset, data]) => `${offset},${data.length}`).join(',');
  const records = [`GNU.sparse.size=${size}`, `GNU.sparse.map=${map}`]
    .map((record) => {
      const length = record.length + 4 + (record.length > 94 ? 1 : 0);
      return `${length} ${record}\n`;
    })
    .join('');
  const extension = packHeader({ type: 'file', path: 'x', sizeBytes: records.length });
  extension.write('x', 156, 'latin1');
  extension.fill(0x20, 148, 156);
  const sum = extension.reduce((total, byte) => total + byte, 0);
  extension.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  const body = Buffer.concat(segments.map(([, data]) => data));
  const header = packHeader({ type: 'file', path: 'sparse', sizeBytes: body.length });
  const parts = [extension, Buffer.from(records), packPadding(records.length), header, body, packPadding(body.length)];
  return Buffer.concat([...parts, endOfArchive]);
}

test('sparse files: pointed at where they lie well, copied where not', async () => {
  await using layers = await Layers.open();
  let number = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 9000 }), fc.integer({ min: 1, max: 3000 })), {
        minLength: 1,
        maxLength: 4,
      }),
      fc.constantFrom(1, 512, 4096),
      fc.integer({ min: 0, max: 10_000 }),
      async (parts, unit, rest) => {
        const tag = `s${number++}`;
        const segments: [number, Buffer][] = [];
        let end = 0;
        for (const [gap, length] of parts) {
          const start = Math.ceil((end + gap) / unit) * unit;
          const data = Buffer.alloc(Math.ceil(length / unit) * unit, 97 + segments.length);
          segments.push([start, data]);
          end = start + data.length;
        }
        const want = Buffer.alloc(end + rest);
        for (const [offset, data] of segments) data.copy(want, offset);
        const { index } = await layers.build(tag, sparseTar(want.length, segments));
        assert.equal(layers.read(index, 'sparse'), want.toString('latin1'));
        const runs = index.runs(index.find('sparse')!);
        if (unit > 1)
          assert.equal(
            runs.every((run) => run.device === 1),
            true,
          );
      },
    ),
    { numRuns: 60 },
  );
});

test('a huge sparse file costs little, an absurd one is refused', async () => {
  await using layers = await Layers.open();
  const tail = Buffer.alloc(4096, 65);
  const { index, sizeBytes } = await layers.build('a', sparseTar(300e9, [[4096 * 1001, tail]]));
  assert.ok(sizeBytes < 80 << 20);
  const runs = index.runs(index.find('sparse')!);
  assert.deepEqual(runs.length, 1);
  const content = Buffer.alloc(4096);
  const [run] = runs;
  index.read(content, run!.deviceOffset + 4096 * 1001 - run!.offset);
  assert.equal(content.equals(tail), true);
  const scattered = Array.from({ length: 3000 }, (_, i): [number, Buffer] => [i * 3e9 + 1, Buffer.from('x')]);
  await assert.rejects(layers.build('b', sparseTarMap(scattered)), (error) => isKind(error, 'invalid-argument'));
});

/** The map in a PAX 1.0 preamble, where it may be long. */
function sparseTarMap(segments: readonly (readonly [number, Buffer])[]): Buffer {
  const size = segments.at(-1)![0] + 10;
  const lines = [segments.length, ...segments.flatMap(([offset, data]) => [offset, data.length])].join('\n');
  const map = Buffer.from(`${lines}\n`);
  const padded = Buffer.concat([map, packPadding(map.length)]);
  const body = Buffer.concat([padded, ...segments.map(([, data]) => data)]);
  const records = [
    '22 GNU.sparse.major=1\n',
    '22 GNU.sparse.minor=0\n',
    `${`GNU.sparse.realsize=${size}`.length + 4} GNU.sparse.realsize=${size}\n`,
  ].join('');
  const extension = packHeader({ type: 'file', path: 'x', sizeBytes: records.length });
  extension.write('x', 156, 'latin1');
  extension.fill(0x20, 148, 156);
  const sum = extension.reduce((total, byte) => total + byte, 0);
  extension.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  const header = packHeader({ type: 'file', path: 'sparse', sizeBytes: body.length });
  return Buffer.concat([
    extension,
    Buffer.from(records),
    packPadding(records.length),
    header,
    body,
    packPadding(body.length),
    endOfArchive,
  ]);
}

test('a chain merges into one index over all its tars', async () => {
  await using layers = await Layers.open();
  await layers.build('a', [
    folder('.', { mode: 0o711 }),
    folder('etc', { mode: 0o750 }),
    file('etc/gone', 'x'),
    file('etc/kept', 'from a'),
    hardlink('etc/link', 'etc/kept'),
    folder('hidden'),
    file('hidden/old', 'x'),
    file('turns', 'x'),
  ]);
  await layers.build('b', [
    folder('.', { mode: 0o755 }),
    folder('etc', { mode: 0o700 }),
    file('etc/.wh.gone'),
    file('etc/new', 'from b'),
    folder('hidden'),
    file('hidden/.wh..wh..opq'),
    folder('turns'),
    file('turns/into', 'a folder'),
  ]);
  await layers.build('c', [folder('.', { mode: 0o700 }), file('top', 'from c'), file('.wh.none')]);
  const indexPath = join(layers.path, 'merged.erofs');
  const merged = mergeIndexes({ indexes: ['c', 'b', 'a'].map((tag) => join(layers.path, `${tag}.erofs`)), indexPath });
  assert.deepEqual(merged.devices.toSorted(), ['a', 'b', 'c']);
  using index = IndexFile.open(indexPath);
  assert.deepEqual(pathsOf(index), [
    '',
    'etc',
    'etc/kept',
    'etc/link',
    'etc/new',
    'hidden',
    'top',
    'turns',
    'turns/into',
  ]);
  assert.deepEqual([index.root.mode, index.find('etc')!.mode], [0o700, 0o700]);
  assert.equal(index.find('etc/link')!.nid, index.find('etc/kept')!.nid);
  assert.equal(index.find('etc/link')!.links, 2);
  assert.equal(isOpaque(index.find('hidden')!), false);
  const contents = ['etc/kept', 'etc/new', 'top', 'turns/into'].map((path) => layers.read(index, path));
  assert.deepEqual(contents, ['from a', 'from b', 'from c', 'a folder']);
});

const anyPath = fc
  .array(fc.constantFrom('a', 'b', 'c', '..', '.', '', '.wh.a', '.wh..wh..opq'), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('/'));
const anyFile: fc.Arbitrary<File> = fc.oneof(
  fc.tuple(anyPath, fc.string({ maxLength: 5 })).map(([path, text]) => file(path, text)),
  anyPath.map((path) => folder(path)),
  fc
    .tuple(
      anyPath,
      anyPath.filter((target) => target !== ''),
    )
    .map(([path, target]) => symlink(path, target)),
  fc.tuple(anyPath, anyPath).map(([path, target]) => hardlink(path, target)),
);

test('any sequence of entries gives a sound index or a clear refusal', async () => {
  await using layers = await Layers.open();
  await layers.build('below', [folder('a'), folder('a/b'), symlink('b', 'a/b'), file('c', 'x')]);
  let number = 0;
  let built = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(anyFile, { maxLength: 12 }), fc.boolean(), async (files, chained) => {
      const tag = `p${number++}`;
      let index: IndexFile;
      try {
        ({ index } = await layers.build(tag, files, chained ? ['below'] : undefined));
      } catch (error) {
        if (!isKind(error, 'invalid-argument')) throw error;
        return;
      }
      built++;
      const names = new Map<number, number>();
      const folders = new Map<string, number>();
      for (const { path, inode } of index.walk()) {
        assert.equal(index.find(path)?.nid, inode.nid);
        names.set(inode.nid, (names.get(inode.nid) ?? 0) + 1);
        if (inode.type !== 'directory') continue;
        folders.set(path, inode.links - 2);
        const parent = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
        if (path !== '') folders.set(parent, folders.get(parent)! - 1);
      }
      assert.deepEqual(new Set(folders.values()), new Set([0]), 'links of directories count their folders');
      for (const { inode } of index.walk()) {
        if (inode.type !== 'directory') assert.equal(inode.links, names.get(inode.nid));
      }
      assert.equal(index.inodeCount, names.size);
    }),
    { numRuns: 300 },
  );
  assert.ok(built > 50, `${built} layers were well-formed`);
});

test('a broken index is noticed', async () => {
  await using layers = await Layers.open();
  const files = Array.from({ length: 50 }, (_, i) => file(`f${i}`, 'x'));
  await layers.build('a', files);
  const path = join(layers.path, 'a.erofs');
  const whole = readFileSync(path);
  const broken = Buffer.from(whole);
  broken[1040]! ^= 1;
  writeFileSync(path, broken);
  assert.throws(
    () => IndexFile.open(path),
    (error) => isKind(error, 'data-loss'),
  );
  writeFileSync(path, whole);
  truncateSync(path, whole.length - 1024);
  using index = IndexFile.open(path);
  assert.throws(
    () => [...index.walk()],
    (error) => isKind(error, 'data-loss'),
  );
});

test('an indexer tells its needs without a file', () => {
  const indexer = new LayerIndexer({ tag: '', sizeBytes: 0, read: () => assert.fail('no data is read') });
  assert.deepEqual(indexer.finish(), {
    impliedParents: false,
    outsideHardlinks: false,
    impliedRoot: true,
    opaqueRoot: false,
  });
});
