import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { type PackEntry, packTar, readTar } from '#archive';
import { isKind } from '#errdefs';
import { type ByteSource, fromBytes, readAll } from '#streams';
import { temporaryFolder } from '#testing';
import { unpackArchive } from './archive-sources.ts';
import { ContextTree } from './context-tree.ts';
import { type CopyOptions, copySources } from './copy.ts';
import { isArchive } from './inflate.ts';
import { LayerDraft } from './layer-draft.ts';
import { missingHint } from './missing-source.ts';
import { resolveOwner } from './owners.ts';
import { componentsDigest, fileComponents, selectSources, shownHash } from './selection.ts';
import { emptyTree, resolvePath, walkTree } from './source-tree.ts';

const signal = new AbortController().signal;

type Item = PackEntry & { readonly text?: string };

function tarOf(items: readonly Item[]): ByteSource {
  return packTar(
    items.map(({ text = '', ...entry }) => ({
      entry: { mode: entry.type === 'directory' ? 0o755 : 0o644, ...entry, sizeBytes: Buffer.byteLength(text) },
      body: Buffer.from(text),
    })),
  );
}

const file = (path: string, text: string, more: Partial<Item> = {}): Item => ({ type: 'file', path, text, ...more });
const folder = (path: string, more: Partial<Item> = {}): Item => ({ type: 'directory', path, ...more });
const symlink = (path: string, linkPath: string): Item => ({ type: 'symlink', path, linkPath, mode: 0o777 });

async function withContext<T>(source: ByteSource, work: (tree: ContextTree) => Promise<T>): Promise<T> {
  await using scratch = await temporaryFolder();
  await using tree = await ContextTree.read(source, join(scratch.path, 'context'), { signal });
  return await work(tree);
}

async function pathsOf(tree: ContextTree): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path } of walkTree(tree, '')) paths.push(path);
  return paths;
}

const textOf = async (tree: ContextTree, path: string) => String(await readAll(tree.read(path), 1 << 20));

test('a context is read from plain, gzip and zstd tars alike', async () => {
  const plain = await readAll(tarOf([folder('d'), file('d/a', 'hello')]), 1 << 20);
  for (const bytes of [plain, gzipSync(plain), zstdCompressSync(plain)]) {
    await withContext(fromBytes(bytes), async (tree) => {
      assert.deepEqual(await pathsOf(tree), ['', 'd', 'd/a']);
      assert.equal(await textOf(tree, 'd/a'), 'hello');
    });
  }
});

test('paths that leave the context stay inside it, in whatever form', async () => {
  const items = [
    file('../../etc/passwd', 'x'),
    file('/abs', 'y'),
    file('a/../../b', 'z'),
    symlink('out', '/etc'),
    file('out/x', 'w'),
  ];
  await withContext(tarOf(items), async (tree) => {
    assert.deepEqual(await pathsOf(tree), ['', 'abs', 'b', 'etc', 'etc/passwd', 'out', 'out/x']);
    assert.equal((await tree.lstat('out'))?.type, 'directory');
  });
});

test('later entries replace earlier ones, folders keep what is in them', async () => {
  const items = [
    file('a', '1'),
    file('a', '22'),
    folder('d'),
    file('d/x', 'x'),
    folder('d', { mode: 0o700 }),
    file('e', 'e'),
    folder('e'),
  ];
  await withContext(tarOf(items), async (tree) => {
    assert.deepEqual(await pathsOf(tree), ['', 'a', 'd', 'd/x', 'e']);
    assert.equal(await textOf(tree, 'a'), '22');
    assert.equal((await tree.lstat('d'))?.mode, 0o700);
  });
});

test('hostile contexts are refused as such', async () => {
  const good = await readAll(tarOf([file('a', 'x'.repeat(5000))]), 1 << 20);
  const hostile: readonly Buffer[] = [
    good.subarray(0, 2000),
    gzipSync(good).subarray(0, 40),
    Buffer.from('this is no tar at all'.repeat(100)),
    Buffer.concat([gzipSync(good).subarray(0, 20), Buffer.alloc(100, 7)]),
    await readAll(tarOf([{ type: 'hardlink', path: 'h', linkPath: '../../etc/passwd' }]), 1 << 20),
  ];
  for (const bytes of hostile) {
    await assert.rejects(
      withContext(fromBytes(bytes), async () => {}),
      (error) => isKind(error, 'invalid-argument'),
    );
  }
});

test('symlinks are followed inside the tree, loops are refused', async () => {
  const items = [
    folder('d'),
    file('d/x', 'x'),
    symlink('up', '../../../d'),
    symlink('abs', '/d/x'),
    symlink('l1', 'l2'),
    symlink('l2', 'l1'),
  ];
  await withContext(tarOf(items), async (tree) => {
    assert.equal(await resolvePath(tree, 'up/x'), 'd/x');
    assert.equal(await resolvePath(tree, 'abs'), 'd/x');
    assert.equal(await resolvePath(tree, 'abs', { followLast: false }), 'abs');
    assert.equal(await resolvePath(tree, 'nowhere/../d/./x'), 'd/x');
    await assert.rejects(resolvePath(tree, 'l1/x'), /too many levels/);
  });
});

test("digests are dockerd's and know nothing of time", async () => {
  const items = (sec: number) => [file('f', 'hi\n', { mtime: { sec, nsec: 0 } })];
  for (const sec of [1, 99]) {
    await withContext(tarOf(items(sec)), async (tree) => {
      const selected = await selectSources(tree, ['f'], { signal, missingPrefix: '' });
      assert.equal(shownHash(selected), 'file:8582af4daeaf0680f84231b3cb3c1b3f178576b5a6a8982837583d5676f28428');
    });
  }
});

async function contentKey(items: readonly Item[], withOwners = false): Promise<string> {
  return await withContext(tarOf(items), async (tree) => {
    const selected = await selectSources(tree, ['.'], { signal, missingPrefix: '' });
    return componentsDigest(await fileComponents(selected, { withOwners, signal }));
  });
}

test('the content key sees every change that matters, and no other', async () => {
  const base = [folder('d'), file('d/a', '1'), symlink('d/l', 'a')];
  const key = await contentKey(base);
  const changes: readonly (readonly Item[])[] = [
    [folder('d'), file('d/a', '2'), symlink('d/l', 'a')],
    [folder('d'), file('d/b', '1'), symlink('d/l', 'a')],
    [folder('d'), file('d/a', '1', { mode: 0o755 }), symlink('d/l', 'a')],
    [folder('d', { mode: 0o700 }), file('d/a', '1'), symlink('d/l', 'a')],
    [folder('d'), file('d/a', '1'), symlink('d/l', 'b')],
    [folder('d'), file('d/a', '1')],
    [...base, file('d/new', '')],
  ];
  for (const change of changes) assert.notEqual(await contentKey(change), key);
  const touched = base.map((item): Item => ({ ...item, mtime: { sec: 77, nsec: 7 }, uid: 5, gid: 6 }));
  assert.equal(await contentKey(touched), key);
  assert.notEqual(await contentKey(touched, true), await contentKey(base, true));
});

test('the key of a hardlink alone sees the content it shares', async () => {
  const keyOf = (text: string) =>
    withContext(tarOf([file('a', text), { type: 'hardlink', path: 'b', linkPath: 'a' }]), async (tree) => {
      const selected = await selectSources(tree, ['b'], { signal, missingPrefix: '' });
      return componentsDigest(await fileComponents(selected, { withOwners: false, signal }));
    });
  assert.notEqual(await keyOf('1'), await keyOf('2'));
});

test('patterns: sorted matches, nothing across a slash, broken ones match nothing', async () => {
  const items = [file('b.txt', ''), file('a.txt', ''), folder('d'), file('d/c.txt', ''), file('.h', '')];
  await withContext(tarOf(items), async (tree) => {
    const names = async (...patterns: string[]) =>
      (await selectSources(tree, patterns, { signal, missingPrefix: '' })).map((source) => source.path);
    assert.deepEqual(await names('*.txt'), ['a.txt', 'b.txt']);
    assert.deepEqual(await names('*/*.txt', './a.txt', '/d'), ['d/c.txt', 'a.txt', 'd']);
    assert.deepEqual(await names('[a-'), []);
    await assert.rejects(names('nope'), /stat nope: file does not exist/);
    await assert.rejects(names('../d'), /forbidden path outside the build context: \.\.\/d \(\)/);
  });
});

interface Listed {
  readonly [path: string]: string;
}

async function copied(
  base: readonly Item[],
  context: readonly Item[],
  sources: readonly string[],
  options: Partial<CopyOptions> & { destination: string },
): Promise<Listed> {
  return await withContext(tarOf(base), (under) =>
    withContext(tarOf(context), async (tree) => {
      const draft = new LayerDraft(under);
      const selected = await selectSources(tree, sources, { signal, missingPrefix: '' });
      const store = async (body: ByteSource) => {
        const bytes = await readAll(body, 1 << 20);
        return () => fromBytes(bytes);
      };
      const defaults = { workingDir: '/', owner: { uid: 0, gid: 0 }, unpack: () => false, signal, store };
      await copySources(draft, selected, { ...defaults, ...options });
      return await listLayer(draft);
    }),
  );
}

async function listLayer(draft: LayerDraft): Promise<Listed> {
  const listed: Record<string, string> = {};
  for await (const item of readTar(draft.pack({ signal }))) {
    const content =
      item.type === 'file' ? ` ${await readAll(item.body, 1 << 20)}` : item.linkPath && ` ${item.linkPath}`;
    listed[item.path] = `${item.type} ${item.mode.toString(8)} ${item.uid}:${item.gid}${content}`;
  }
  return listed;
}

test('a file goes to a new name, into a folder, through a symlink; parents are made', async () => {
  const base = [folder('real', { mode: 0o711, uid: 3 }), symlink('link', '/real')];
  const context = [file('f', 'F', { mode: 0o4755, uid: 9 })];
  assert.deepEqual(await copied(base, context, ['f'], { destination: 'x/y/z' }), {
    'x/': 'directory 755 0:0',
    'x/y/': 'directory 755 0:0',
    'x/y/z': 'file 755 0:0 F',
  });
  assert.deepEqual(await copied(base, context, ['f'], { destination: '/link', owner: { uid: 1, gid: 2 } }), {
    'real/': 'directory 711 3:0',
    'real/f': 'file 755 1:2 F',
  });
  assert.deepEqual(
    await copied(base, context, ['f'], { destination: 'n/', owner: { uid: 1, gid: 2 }, workingDir: '/real' }),
    {
      'real/': 'directory 711 3:0',
      'real/n/': 'directory 755 1:2',
      'real/n/f': 'file 755 1:2 F',
    },
  );
  assert.deepEqual(await copied([], context, ['f'], { destination: '/k', owner: undefined }), { k: 'file 4755 9:0 F' });
});

test("a folder's content merges; what is no folder gives way, hidden folders stay hidden", async () => {
  const base = [folder('t'), folder('t/a'), file('t/a/old', 'old'), symlink('t/s', '/etc'), file('t/b', 'b')];
  const context = [folder('c', { mode: 0o700 }), file('c/a', 'A'), folder('c/s'), file('c/s/1', '1'), folder('c/b')];
  assert.deepEqual(await copied(base, context, ['c'], { destination: '/t' }), {
    't/': 'directory 755 0:0',
    't/a': 'file 644 0:0 A',
    't/b/': 'directory 755 0:0',
    't/s/': 'directory 755 0:0',
    't/s/1': 'file 644 0:0 1',
  });
  assert.deepEqual(
    await copied([file('t', 'file')], [folder('c')], ['c'], { destination: '/t' }).catch(String),
    'EngineError: failed to copy files: mkdir /t: not a directory',
  );
});

test('a folder replaced by a file and made again is opaque', async () => {
  await withContext(tarOf([folder('d'), file('d/old', 'x')]), async (under) => {
    const draft = new LayerDraft(under);
    const node = (await emptyTree.lstat(''))!;
    await draft.put('d', { ...node, type: 'fifo' });
    assert.equal(await draft.lstat('d/old'), undefined);
    await draft.put('d', node);
    assert.equal(await draft.lstat('d/old'), undefined);
    assert.deepEqual(Object.keys(await listLayer(draft)), ['d/', 'd/.wh..wh..opq']);
  });
});

test('hardlinks hold within a copied folder', async () => {
  const context = [folder('c'), file('c/a', 'A'), { type: 'hardlink', path: 'c/b', linkPath: 'c/a' } as const];
  assert.deepEqual(await copied([], context, ['c'], { destination: '/x' }), {
    'x/': 'directory 755 0:0',
    'x/a': 'file 644 0:0 A',
    'x/b': 'hardlink 644 0:0 x/a',
  });
});

test('names that mean deletion in a layer are refused', async () => {
  await assert.rejects(
    copied([], [file('.wh.passwd', '')], ['.wh.passwd'], { destination: '/etc/' }),
    /mark deletions/,
  );
});

test('ADD unpacks tars below the destination, never beside it', async () => {
  const inner = await readAll(
    tarOf([
      file('../../esc', 'e', { uid: 4 }),
      symlink('ln', '/'),
      file('ln/through', 't'),
      file('/abs', 'a'),
      { type: 'hardlink', path: 'hl', linkPath: 'abs' },
    ]),
    1 << 20,
  );
  for (const bytes of [inner, gzipSync(inner)]) {
    const context = [{ type: 'file', path: 'x.tar', text: bytes.toString('latin1') } as const];
    const source = packTar(
      context.map(({ text, ...entry }) => ({
        entry: { ...entry, sizeBytes: bytes.length },
        body: Buffer.from(text, 'latin1'),
      })),
    );
    await withContext(source, async (tree) => {
      const draft = new LayerDraft(emptyTree);
      const selected = await selectSources(tree, ['x.tar'], { signal, missingPrefix: '' });
      const store = async (body: ByteSource) => {
        const kept = await readAll(body, 1 << 20);
        return () => fromBytes(kept);
      };
      await copySources(draft, selected, {
        destination: '/d',
        workingDir: '/',
        owner: undefined,
        unpack: () => true,
        signal,
        store,
      });
      assert.deepEqual(await listLayer(draft), {
        'd/': 'directory 755 0:0',
        'd/abs': 'file 644 0:0 a',
        'd/esc': 'file 644 4:0 e',
        'd/hl': 'hardlink 644 0:0 d/abs',
        'd/ln': 'symlink 777 0:0 /',
        'd/through': 'file 644 0:0 t',
      });
    });
  }
});

test('what is an archive and what only looks like one', async () => {
  const tar = await readAll(tarOf([file('a', 'x')]), 1 << 20);
  const cases: readonly (readonly [Buffer, boolean])[] = [
    [tar, true],
    [gzipSync(tar), true],
    [zstdCompressSync(tar), true],
    [gzipSync(Buffer.from('text')), false],
    [Buffer.alloc(1024), false],
    [Buffer.from('plain text'), false],
    [Buffer.alloc(0), false],
    [gzipSync(tar).subarray(0, 5), false],
  ];
  for (const [bytes, wanted] of cases) assert.equal(await isArchive(() => fromBytes(bytes)), wanted);
});

test("owners by number and by the stage's own names", async () => {
  const base = [
    folder('etc'),
    file('etc/passwd', 'root:x:0:0::/:\napp:x:1000:1001::/:\n'),
    file('etc/group', 'staff:x:50:\napp:x:1000:\n'),
  ];
  await withContext(tarOf(base), async (under) => {
    const draft = new LayerDraft(under);
    assert.deepEqual(await resolveOwner(draft, 'app'), { uid: 1000, gid: 1000 });
    assert.deepEqual(await resolveOwner(draft, 'app:staff'), { uid: 1000, gid: 50 });
    assert.deepEqual(await resolveOwner(draft, '7:8'), { uid: 7, gid: 8 });
    await assert.rejects(resolveOwner(draft, 'who'), /can't find uid for user who: no such user: who/);
    await assert.rejects(resolveOwner(draft, 'app:who'), /can't find gid for group who: no such group: who/);
    await assert.rejects(resolveOwner(draft, '1:2:3'), /invalid chown string format: 1:2:3/);
    await assert.rejects(resolveOwner(draft, '99999999999'), /out of range/);
  });
});

test('equal copies give equal layers, whatever order the context came in', async () => {
  const items = [file('a', '1'), folder('b'), file('b/c', '2'), file('d', '3')];
  const pack = (order: readonly Item[]) =>
    withContext(tarOf(order), async (tree) => {
      const draft = new LayerDraft(emptyTree);
      const selected = await selectSources(tree, ['.'], { signal, missingPrefix: '' });
      const store = async () => () => fromBytes();
      await copySources(draft, selected, {
        destination: '/x/',
        workingDir: '/',
        owner: { uid: 0, gid: 0 },
        unpack: () => false,
        signal,
        store,
      });
      return (await readAll(draft.pack({ signal }), 1 << 20)).toString('hex');
    });
  const expected = await pack(items);
  await fc.assert(
    fc.asyncProperty(fc.shuffledSubarray(items, { minLength: items.length }), async (order) => {
      const named = order.findIndex((item) => item.path === 'b') < order.findIndex((item) => item.path === 'b/c');
      if (named) assert.equal(await pack(order), expected);
    }),
    { numRuns: 20 },
  );
});

test('an archive that is unpacked gives a linked file what the last of its headers says', async () => {
  const link = (path: string, linkPath: string, more: Partial<Item>): Item => ({
    type: 'hardlink',
    path,
    linkPath,
    ...more,
  });
  const archive = tarOf([
    file('a', 'x', { mode: 0o600, uid: 1 }),
    link('b', 'a', { mode: 0o640, uid: 2 }),
    link('c', 'b', { mode: 0o751, uid: 3, mtime: { sec: 9, nsec: 0 } }),
    symlink('s', 'a'),
    link('t', 's', { mode: 0o600, uid: 4 }),
  ]);
  const draft = new LayerDraft(emptyTree);
  const bytes = await readAll(archive, 1 << 20, 'archive');
  const kept = (body: ByteSource) => readAll(body, 1 << 20, 'body').then((content) => () => fromBytes(content));
  await unpackArchive(draft, '', fromBytes(bytes), { signal, store: kept });
  const facts = async (path: string) => {
    const { mode, uid, mtime } = (await draft.lstat(path))!;
    return [mode, uid, mtime.sec];
  };
  for (const name of ['a', 'b', 'c']) assert.deepEqual(await facts(name), [0o751, 3, 9]);
  for (const name of ['s', 't']) assert.deepEqual(await facts(name), [0o777, 4, 0]);
  const packed = await Array.fromAsync(readTar(draft.pack({ signal })), ({ path, type, uid }) => [path, type, uid]);
  assert.deepEqual(packed.slice(0, 3), [
    ['a', 'file', 3],
    ['b', 'hardlink', 3],
    ['c', 'hardlink', 3],
  ]);
});

test('a source behind a symlink that leads out of the context is said to be so', async () => {
  const items = [symlink('key', '/etc/shadow'), folder('d'), symlink('d/up', '../../x'), file('kei', '')];
  await withContext(tarOf(items), async (tree) => {
    const words = (name: string, to: string) => ` (${name} is a symlink to ${to}, which is not in the context)`;
    assert.equal(await missingHint(tree, 'key', undefined), words('key', '/etc/shadow'));
    assert.equal(await missingHint(tree, 'd/up/more', undefined), words('d/up', '../../x'));
    assert.equal(await missingHint(tree, 'kej', undefined), ' (did you mean kei?)');
  });
});
