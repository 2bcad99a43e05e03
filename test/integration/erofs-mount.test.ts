/** Indexes under the kernel's own EROFS: what is mounted must be what `tar -x` leaves, attribute by attribute. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bytesOf, type PackEntry, packTar } from '#archive';
import { buildIndex, mergeIndexes } from '#erofs';
import { coalesce, readAll } from '#streams';
import { type FullStat, mountAttr, sys } from '#sys';
import { requireRoot, temporaryFolder } from '#testing';

interface Bench extends AsyncDisposable {
  readonly path: string;
  /** Mounts until the test is over. */
  mount(index: string, tars: readonly string[]): string;
  overlay(lower: readonly string[]): string;
}

async function openBench(): Promise<Bench> {
  const folder = await temporaryFolder();
  const mounted: string[] = [];
  const mount = (fsType: string, options: readonly (readonly [string, string])[]) => {
    const target = join(folder.path, `mount-${mounted.length}`);
    mkdirSync(target);
    sys.fsMount(fsType, options, target, mountAttr.readOnly);
    mounted.push(target);
    return target;
  };
  return {
    path: folder.path,
    mount: (index, tars) =>
      mount('erofs', [['source', index], ...tars.map((tar): [string, string] => ['device', tar])]),
    overlay: (lower) =>
      mount(
        'overlay',
        lower.map((path): [string, string] => ['lowerdir+', path]),
      ),
    async [Symbol.asyncDispose]() {
      for (const target of mounted.reverse()) sys.umount(target, 0);
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Mounting an index over a plain file needs Linux 6.12 and a data root that is no overlay. */
function canMount(t: TestContext, bench: Bench): boolean {
  const tar = join(bench.path, 'probe.tar');
  writeFileSync(tar, Buffer.alloc(1024));
  buildIndex({ tarPath: tar, tag: 'probe', indexPath: join(bench.path, 'probe.erofs') });
  try {
    bench.mount(join(bench.path, 'probe.erofs'), [tar]);
    return true;
  } catch (error) {
    t.skip(`this kernel cannot mount an EROFS index from a file: ${error}`);
    return false;
  }
}

/** Everything lstat, the attributes and the content say, by path; hardlinks by the first of their names. */
function look(root: string): Record<string, unknown> {
  const seen: Record<string, unknown> = {};
  const firstNames = new Map<bigint, string>();
  const visit = (path: string) => {
    const at = bytesOf(root + path);
    const stat = sys.lstat(at);
    const type = stat.mode & 0o170000;
    if (type !== 0o040000 && !firstNames.has(stat.ino)) firstNames.set(stat.ino, path);
    seen[path] = { ...attributes(stat), sameAs: firstNames.get(stat.ino), ...contents(at, type), xattrs: xattrs(at) };
    if (type !== 0o040000) return;
    for (const name of readdirSync(at, { encoding: 'latin1' }).sort()) visit(`${path}/${name}`);
  };
  visit('');
  return seen;
}

function attributes(stat: FullStat): Record<string, unknown> {
  const isDirectory = (stat.mode & 0o170000) === 0o040000;
  const { mode, uid, gid, mtime, nlink, rdevMajor, rdevMinor } = stat;
  return { mode, uid, gid, mtime, nlink, rdevMajor, rdevMinor, ...(!isDirectory && { size: stat.size }) };
}

function contents(at: Buffer, type: number): Record<string, unknown> {
  if (type === 0o120000) return { target: readlinkSync(at, 'latin1') };
  if (type === 0o100000) return { sha256: createHash('sha256').update(readFileSync(at)).digest('hex') };
  return {};
}

function xattrs(at: Buffer): [string, string][] {
  return sys
    .llistxattr(at)
    .sort()
    .map((name) => [name, sys.lgetxattr(at, name)!.toString('hex')]);
}

function makeTree(root: string): void {
  mkdirSync(join(root, 'deep/er/est'), { recursive: true });
  writeFileSync(join(root, 'empty'), '');
  writeFileSync(join(root, 'exact'), Buffer.alloc(1024, 1));
  writeFileSync(join(root, 'odd'), Buffer.alloc(100_001, 2));
  for (const name of ['caf\xc3\xa9', '\xff\xfe\x01', 'n'.repeat(255), '!before-dot', 'sp ace\n'])
    writeFileSync(bytesOf(`${root}/deep/${name}`), name);
  linkSync(join(root, 'odd'), join(root, 'deep/er/odd-too'));
  symlinkSync('../odd', join(root, 'deep/relative'));
  for (const length of [400, 448, 449, 511, 512, 513, 4000])
    symlinkSync('l'.repeat(length), join(root, `link-${length}`));
  sys.mknod(join(root, 'null'), 0o020666, 1, 3);
  sys.mknod(join(root, 'disk'), 0o060660, 259, 70_000);
  sys.mknod(join(root, 'pipe'), 0o010600, 0, 0);
  execFileSync('truncate', ['-s', '20000000', join(root, 'sparse')]);
  execFileSync('dd', [
    'if=/dev/urandom',
    `of=${join(root, 'sparse')}`,
    'bs=4096',
    'count=3',
    'seek=100',
    'conv=notrunc',
    'status=none',
  ]);
  execFileSync('dd', [
    'if=/dev/urandom',
    `of=${join(root, 'sparse')}`,
    'bs=4096',
    'count=1',
    'seek=3000',
    'conv=notrunc',
    'status=none',
  ]);
  sys.lsetxattr(join(root, 'exact'), 'user.note', Buffer.from([0, 1, 2, 10, 61]));
  sys.lsetxattr(join(root, 'exact'), 'security.capability', Buffer.from(`0100000200200000${'0'.repeat(24)}`, 'hex'));
  sys.lsetxattr(join(root, 'deep'), 'user.large', Buffer.alloc(2500, 7));
  execFileSync('chown', ['70000:80000', join(root, 'odd')]);
  execFileSync('chmod', ['6755', join(root, 'odd')]);
  execFileSync('chmod', ['1777', join(root, 'deep')]);
  sys.lutimes(join(root, 'odd'), { sec: 1, nsec: 1 }, { sec: -77, nsec: 999_999_999 });
  sys.lutimes(join(root, 'deep/relative'), { sec: 5, nsec: 0 }, { sec: 5e9, nsec: 20 });
}

test('a mounted layer is what tar extracts, in every attribute', async (t) => {
  if (!requireRoot(t)) return;
  await using bench = await openBench();
  if (!canMount(t, bench)) return;
  const [tree, extracted, tar] = ['tree', 'extracted', 'layer.tar'].map((name) => join(bench.path, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(tree);
  mkdirSync(extracted);
  makeTree(tree);
  const xattrOptions = ['--xattrs', '--xattrs-include=*', '--numeric-owner'];
  execFileSync('tar', ['-cSf', tar, '--format=posix', ...xattrOptions, '-C', tree, '.']);
  execFileSync('tar', ['-xpf', tar, '--same-owner', ...xattrOptions, '-C', extracted]);
  const built = buildIndex({ tarPath: tar, tag: 'layer', indexPath: join(bench.path, 'layer.erofs') });
  assert.deepEqual([built.impliedParents, built.impliedRoot], [false, false]);
  const mounted = bench.mount(join(bench.path, 'layer.erofs'), [tar]);
  assert.deepEqual(look(mounted), look(extracted));
});

/** Small deterministic pseudo-random numbers, so that a failure can be repeated. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test('thousands of inodes of every shape land whole', async (t) => {
  if (!requireRoot(t)) return;
  await using bench = await openBench();
  if (!canMount(t, bench)) return;
  const random = numbers(42);
  const files: { entry: PackEntry; body?: Buffer }[] = [{ entry: { type: 'directory', path: '.', mode: 0o755 } }];
  const folders = [''];
  for (let i = 0; i < 2500; i++) {
    const path = `${folders[random(folders.length)]!}${'x'.repeat(random(200))}${i}`;
    const xattrs = new Map<string, Buffer>(random(3) === 0 ? [['user.a', Buffer.alloc(random(700), i)]] : []);
    const common = { path, mode: random(0o10000), mtime: { sec: i, nsec: random(1e9) }, uid: random(1e6) };
    const kind = random(4);
    const body = Buffer.alloc(random(3000), i);
    if (kind === 0) files.push({ entry: { ...common, type: 'file', sizeBytes: body.length, xattrs }, body });
    else if (kind === 1)
      files.push({ entry: { ...common, mode: 0o777, type: 'symlink', linkPath: 'y'.repeat(1 + random(700)) } });
    else if (kind === 2) files.push({ entry: { ...common, type: 'fifo' } });
    else {
      files.push({ entry: { ...common, type: 'directory', xattrs } });
      if (path.length < 1500) folders.push(`${path}/`);
    }
  }
  const tar = join(bench.path, 'layer.tar');
  const extracted = join(bench.path, 'extracted');
  mkdirSync(extracted);
  await writeFile(tar, coalesce(packTar(files), 1 << 20));
  execFileSync('tar', [
    '-xpf',
    tar,
    '--same-owner',
    '--xattrs',
    '--xattrs-include=*',
    '--delay-directory-restore',
    '-C',
    extracted,
  ]);
  buildIndex({ tarPath: tar, tag: 'layer', indexPath: join(bench.path, 'layer.erofs') });
  assert.deepEqual(look(bench.mount(join(bench.path, 'layer.erofs'), [tar])), look(extracted));
});

test('a directory of 100,000 entries', async (t) => {
  if (!requireRoot(t)) return;
  await using bench = await openBench();
  if (!canMount(t, bench)) return;
  const tar = join(bench.path, 'layer.tar');
  const names = Array.from({ length: 100_000 }, (_, i) => `entry-${i * 7}`);
  await writeFile(tar, coalesce(packTar(names.map((name) => file(`d/${name}`, '', { uid: name.length }))), 1 << 20));
  buildIndex({ tarPath: tar, tag: 'layer', indexPath: join(bench.path, 'layer.erofs') });
  const mounted = bench.mount(join(bench.path, 'layer.erofs'), [tar]);
  assert.deepEqual(readdirSync(join(mounted, 'd')), names.toSorted());
  for (const name of [names[0]!, names[50_000]!, names[99_999]!])
    assert.equal(sys.lstat(join(mounted, 'd', name)).uid, name.length);
  assert.throws(() => sys.lstat(join(mounted, 'd', 'entry-1')), { code: 'ENOENT' });
});

const file = (path: string, content = '', more: Partial<PackEntry> = {}): { entry: PackEntry; body: Buffer } => ({
  entry: { type: 'file', path, mode: 0o644, sizeBytes: content.length, ...more },
  body: Buffer.from(content),
});
const folder = (path: string, mode = 0o755): { entry: PackEntry } => ({ entry: { type: 'directory', path, mode } });

test('stacked layers: whiteouts, opaque directories, implied parents, hardlinks into lower layers', async (t) => {
  if (!requireRoot(t)) return;
  await using bench = await openBench();
  if (!canMount(t, bench)) return;
  const tarOf = (tag: string) => join(bench.path, `${tag}.tar`);
  const indexOf = (tag: string) => join(bench.path, `${tag}.erofs`);
  const layer = async (
    tag: string,
    files: readonly { entry: PackEntry; body?: Buffer }[],
    lower?: readonly string[],
  ) => {
    await writeFile(tarOf(tag), coalesce(packTar(files), 1 << 20));
    const built = buildIndex({
      tarPath: tarOf(tag),
      tag,
      indexPath: indexOf(tag),
      ...(lower && { lower: lower.map(indexOf) }),
    });
    return bench.mount(indexOf(tag), built.devices.map(tarOf));
  };
  const base = await layer('base', [
    folder('.', 0o751),
    folder('tmp', 0o1777),
    folder('etc'),
    file('etc/gone', 'x'),
    file('etc/kept', 'kept'),
    folder('hidden'),
    file('hidden/old', 'x'),
    folder('again'),
    file('again/old', 'x'),
    file('shared', 'shared data'),
    { entry: { type: 'symlink', path: 'way', linkPath: 'etc', mode: 0o777 } },
  ]);
  const upper = await layer(
    'upper',
    [
      file('etc/.wh.gone'),
      folder('hidden'),
      file('hidden/.wh..wh..opq'),
      file('hidden/new', 'new'),
      file('.wh.again'),
      folder('again'),
      file('tmp/file', 'in tmp'),
      file('way/through', 'followed'),
      { entry: { type: 'hardlink', path: 'linked', linkPath: 'shared' } },
    ],
    ['base'],
  );
  const root = bench.overlay([upper, base]);
  const tree = look(root) as Record<string, { mode: number; nlink: number }>;
  assert.deepEqual(Object.keys(tree), [
    '',
    '/again',
    '/etc',
    '/etc/kept',
    '/etc/through',
    '/hidden',
    '/hidden/new',
    '/linked',
    '/shared',
    '/tmp',
    '/tmp/file',
    '/way',
  ]);
  assert.equal(tree['']!.mode & 0o7777, 0o751);
  assert.equal(tree['/tmp']!.mode & 0o7777, 0o1777);
  assert.equal(readFileSync(join(root, 'linked'), 'utf8'), 'shared data');
  assert.equal(sys.lstat(join(root, 'linked')).ino, sys.lstat(join(root, 'shared')).ino);
  assert.equal(readFileSync(join(root, 'way/through'), 'utf8'), 'followed');
});

test('a tar that ends inside its last block is read to its last byte', async (t) => {
  if (!requireRoot(t)) return;
  await using bench = await openBench();
  if (!canMount(t, bench)) return;
  const content = 'last bytes '.repeat(1000);
  const whole = await readAll(packTar([file('f', content)]), 1 << 20);
  const tar = join(bench.path, 'layer.tar');
  writeFileSync(tar, whole.subarray(0, 512 + content.length));
  buildIndex({ tarPath: tar, tag: 'layer', indexPath: join(bench.path, 'layer.erofs') });
  const mounted = bench.mount(join(bench.path, 'layer.erofs'), [tar]);
  assert.equal(readFileSync(join(mounted, 'f'), 'utf8'), content);
});

test('a merged chain is one mount over many tars', async (t) => {
  if (!requireRoot(t)) return;
  await using bench = await openBench();
  if (!canMount(t, bench)) return;
  const at = (name: string) => join(bench.path, name);
  const tags = Array.from({ length: 130 }, (_, i) => `layer-${i}`);
  for (const tag of tags) {
    await writeFile(at(`${tag}.tar`), packTar([folder('.', 0o755), file(tag, `from ${tag}`), file('shared', tag)]));
    buildIndex({ tarPath: at(`${tag}.tar`), tag, indexPath: at(`${tag}.erofs`) });
  }
  const indexes = tags.toReversed().map((tag) => at(`${tag}.erofs`));
  const merged = mergeIndexes({ indexes, indexPath: at('merged.erofs') });
  const mounted = bench.mount(
    at('merged.erofs'),
    merged.devices.map((tag) => at(`${tag}.tar`)),
  );
  for (const tag of tags) assert.equal(readFileSync(join(mounted, tag), 'utf8'), `from ${tag}`);
  assert.equal(readFileSync(join(mounted, 'shared'), 'utf8'), 'layer-129');
});

/** The version as a number, of one that reads blocks of 512 bytes; undefined, and the test is skipped aloud, without. */
function checkerVersion(t: TestContext): number | undefined {
  const { stdout, error } = spawnSync('fsck.erofs', ['-V'], { encoding: 'utf8' });
  const [, major, minor] = /(\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
  const version = Number(major) * 1000 + Number(minor);
  if (version >= 1008) return version;
  const found = error ? 'there is none' : `not ${stdout.trim().split('\n')[0]}`;
  t.skip(`needs fsck.erofs of erofs-utils 1.8 or newer on the PATH, ${found}`);
  return undefined;
}

/** erofs-utils 1.8 sums a superblock with such blocks over memory it does not have. */
function dropChecksum(index: string): void {
  const bytes = readFileSync(index);
  bytes[1024 + 8]! &= ~1;
  writeFileSync(index, bytes);
}

test('fsck.erofs finds nothing to say', async (t) => {
  const version = requireRoot(t) && checkerVersion(t);
  if (!version) return;
  await using scratch = await temporaryFolder();
  const at = (name: string) => join(scratch.path, name);
  const check = (name: string, tars: readonly string[]) => {
    copyFileSync(at(name), at('checked'));
    if (version < 1009) dropChecksum(at('checked'));
    // Only the metadata: erofs-utils itself loses the device when it reads data by unified block numbers.
    execFileSync('fsck.erofs', [...tars.map((tar) => `--device=${tar}`), at('checked')], { stdio: 'pipe' });
  };
  const files = Array.from({ length: 3000 }, (_, i) => file(`d${i % 7}/${i}`, 'content'.repeat(i % 300)));
  await writeFile(at('many.tar'), coalesce(packTar(files), 1 << 20));
  buildIndex({ tarPath: at('many.tar'), tag: 'layer', indexPath: at('many.erofs') });
  check('many.erofs', [at('many.tar')]);
  mkdirSync(at('tree'));
  makeTree(at('tree'));
  const options = ['-S', '--format=posix', '--xattrs', '--xattrs-include=*', '--numeric-owner'];
  execFileSync('tar', ['-cf', at('tree.tar'), ...options, '-C', at('tree'), '.']);
  buildIndex({ tarPath: at('tree.tar'), tag: 'tree', indexPath: at('tree.erofs') });
  check('tree.erofs', [at('tree.tar')]);
  mergeIndexes({ indexes: [at('tree.erofs'), at('many.erofs')], indexPath: at('both.erofs') });
  check('both.erofs', [at('tree.tar'), at('many.tar')]);
});
