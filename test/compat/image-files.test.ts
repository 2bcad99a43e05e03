/** `wherry ls` and `wherry cat`: what they read from the layers is what a container of the image has, whichever driver mounts it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ImageFile } from '#api-types';
import { endOfArchive, type PackEntry, packHeader, packPadding, readTar } from '#archive';
import { connect } from '#client';
import { fromBytes, readAll } from '#streams';
import { program } from './build-fixture.ts';
import { imageSetup, load, type Setup, verify } from './images-fixture.ts';

type Entry = PackEntry & { readonly content?: string };

const layer = (...entries: readonly Entry[]): Buffer =>
  Buffer.concat([
    ...entries.flatMap(({ content = '', ...entry }) => [
      packHeader({ mode: 0o644, ...entry, sizeBytes: content.length }),
      Buffer.from(content, 'latin1'),
      packPadding(content.length),
    ]),
    endOfArchive,
  ]);
const file = (path: string, content: string, more: Partial<PackEntry> = {}): Entry => ({
  type: 'file',
  path,
  content,
  ...more,
});
const folder = (path: string, mode = 0o755): Entry => ({ type: 'directory', path, mode });
const symlink = (path: string, linkPath: string): Entry => ({ type: 'symlink', path, linkPath });
const hardlink = (path: string, linkPath: string, more: Partial<PackEntry> = {}): Entry => ({
  type: 'hardlink',
  path,
  linkPath,
  ...more,
});

/** Layers of every odd kind. */
const layers = [
  layer(
    folder('etc', 0o751),
    file('etc/a', 'a'.repeat(700), { uid: 7, gid: 8, mode: 0o4755 }),
    file('etc/gone', 'gone'),
    folder('opaque'),
    file('opaque/below', 'below'),
    folder('data'),
    file('data/f', 'first', { mtime: { sec: 1700000000, nsec: 5_000_000 } }),
    symlink('link', 'data'),
    symlink('out', '../../../../etc/a'),
    symlink('loop', 'loop'),
    symlink('abs', '/etc'),
    { type: 'char', path: 'null', devMajor: 1, devMinor: 3, mode: 0o666 },
    { type: 'fifo', path: 'pipe' },
    file('new\nline\x1b[31m', 'steers'),
    file('not-\xff-utf8', 'bytes'),
    file('.hidden', 'dot'),
    folder('deep', 0o700),
    folder('deep/er', 0o711),
  ),
  layer(
    file('etc/.wh.gone', ''),
    file('opaque/.wh..wh..opq', ''),
    file('opaque/above', 'above'),
    // Through a symlink of the layer below, and into a folder that this layer does not describe.
    file('link/g', 'through the link'),
    file('deep/er/h', 'implied parents'),
    hardlink('etc/b', 'etc/a', { uid: 1, mode: 0o600 }),
    file('twice', 'once'),
    file('twice', 'and again'),
    file('one', 'shared'),
    hardlink('other', 'one'),
  ),
];

function wherry({ daemon }: Setup, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(program, ['-H', daemon.host, ...args], { encoding: 'latin1' });
  return { status, stdout, stderr };
}

async function listed(setup: Setup, image: string): Promise<Map<string, ImageFile>> {
  const { stdout } = wherry(setup, 'ls', '-R', '--json', image);
  const files = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(Buffer.from(line, 'latin1').toString()) as ImageFile);
  return new Map(
    files.map((item) => {
      const bytes = Buffer.from(item.pathBytes ?? item.path, item.pathBytes ? 'base64' : 'utf8');
      return [bytes.toString('latin1'), item] as const;
    }),
  );
}

/** What Docker puts into a container's root; /etc has another time by it. */
const mountPoints = /^\/(\.dockerenv|dev(\/.*)?|proc|sys|etc|etc\/(hosts|hostname|resolv\.conf|mtab))$/;

async function exported(
  { docker, folder }: Setup,
  image: string,
): Promise<Map<string, { facts: string; content: string }>> {
  const id = (await docker.ok('create', image)).trim();
  const archive = join(folder, 'export.tar');
  await docker.ok('export', '-o', archive, id);
  const found = new Map<string, { facts: string; content: string }>();
  for await (const { body, ...entry } of readTar(fromBytes(await readFile(archive)))) {
    const path = `/${entry.path.replace(/\/$/, '')}`;
    const content = (await readAll(body, 1 << 20)).toString('latin1');
    const linked = entry.type === 'hardlink' ? found.get(`/${entry.linkPath}`) : undefined;
    const { type, mode, uid, gid, sizeBytes, linkPath, devMajor, devMinor } = entry;
    const facts = [type, mode.toString(8).padStart(4, '0'), uid, gid, sizeBytes, linkPath, `${devMajor}:${devMinor}`];
    found.set(path, linked ?? { facts: facts.join(' '), content });
  }
  await docker.ok('rm', id);
  return found;
}

function factsOf({ type, mode, uid, gid, sizeBytes, target = '', device = '0:0' }: ImageFile): string {
  return [type, mode, uid, gid, type === 'symlink' ? 0 : sizeBytes, target, device].join(' ');
}

for (const driver of ['erofs', 'overlay2', 'vfs']) {
  test(`${driver}: every file of odd layers, as a container has them`, async (t) => {
    await using setup = await imageSetup(t, [`--storage-driver=${driver}`, '--undo-grace=0s']);
    if (!setup) return;
    await load(setup, { layers, tags: ['odd:latest'] });
    await using engine = connect(setup.daemon.host);
    const ours = await listed(setup, 'odd');
    const theirs = await exported(setup, 'odd');
    const names = (paths: Iterable<string>) => [...paths].filter((path) => !mountPoints.test(path)).sort();
    assert.deepEqual(names(ours.keys()), names(theirs.keys()));
    for (const path of names(ours.keys())) {
      const item = ours.get(path)!;
      assert.equal(factsOf(item), theirs.get(path)!.facts, path);
      if (item.type !== 'file') continue;
      const { content } = theirs.get(path)!;
      const read = await engine.images.file('odd', item.path);
      assert.equal((await readAll(read.content, 1 << 20)).toString('latin1'), content, path);
    }
    assert.equal(ours.get('/data/f')!.modified, '2023-11-14T22:13:20.005Z');
    assert.equal(ours.get('/one')!.links, 2);
    assert.equal(ours.get('/data/f')!.layer, 0);
    assert.equal(ours.get('/data/g')!.layer, 1);
    // What was made for reading goes with the image.
    assert.deepEqual(verify(setup).status, 0, verify(setup).output);
    await setup.docker.ok('rmi', 'odd');
    assert.deepEqual(await indexes(setup), []);
  });
}

async function indexes({ daemon }: Setup): Promise<string[]> {
  return (await readdir(`${daemon.dataRoot}/layers`)).filter((name) => name.endsWith('.erofs'));
}

test('names, formats, symlinks and refusals on the command line', async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  await load(setup, { layers, tags: ['odd:latest'] });
  const ls = (...args: string[]) => wherry(setup, 'ls', ...args).stdout;
  assert.equal(
    ls('odd'),
    'abs\ndata\ndeep\netc\nlink\nloop\n"new\\nline\\x1b[31m"\n"not-\\xff-utf8"\nnull\none\nopaque\nother\nout\npipe\ntwice\n',
  );
  assert.match(ls('-a', 'odd'), /^\.hidden\nabs\n/);
  assert.match(ls('-R', 'odd'), /\n\/etc\n\/etc\/a\n\/etc\/b\n/);
  assert.match(ls('-l', 'odd', '/etc/a'), /^-rw------- 2 1 0 700 1970-01-01 00:00 a\n$/);
  assert.match(ls('-l', 'odd', '/link'), /^lrwxrwxrwx 1 0 0 4 1970-01-01 00:00 link -> data\n$/);
  assert.match(ls('-l', 'odd', '/null'), /^crw-rw-rw- 1 0 0 1, 3 /);
  assert.equal(ls('odd', 'link'), 'f\ng\n');
  assert.equal(ls('-l', 'odd', 'link/').split('\n').length, 3);
  assert.equal(ls('-d', 'odd', '/link', '/etc'), '/link\n/etc\n');
  assert.equal(ls('odd', '/abs', '/opaque'), '/abs:\na\nb\n/opaque:\nabove\n');
  // No symlink and no `..` leads out of the image.
  assert.equal(wherry(setup, 'cat', 'odd', '/out').stdout, 'a'.repeat(700));
  assert.equal(wherry(setup, 'cat', 'odd', '../../../../twice', 'one').stdout, 'and againshared');
  const refusals: readonly (readonly [string[], string])[] = [
    [['ls', 'odd', '/nope'], 'Could not find the file /nope in image odd'],
    [['ls', 'odd', '/etc/gone'], 'Could not find the file /etc/gone in image odd'],
    [['cat', 'odd', '/etc/a/x'], 'Could not find the file /etc/a/x in image odd'],
    [['cat', 'odd', '/one/'], 'Could not find the file /one/ in image odd: not a directory'],
    [['cat', 'odd', '/etc'], '/etc: is a directory'],
    [['cat', 'odd', '/pipe'], '/pipe: is a fifo'],
    [['cat', 'odd', '/loop'], '/loop: too many levels of symbolic links'],
    [['ls', 'nope'], 'No such image: nope:latest'],
  ];
  for (const [args, message] of refusals) {
    const { status, stdout, stderr } = wherry(setup, ...args);
    assert.deepEqual([status, stdout, stderr], [1, '', `Error response from daemon: ${message}\n`]);
  }
});

test('two images compared: each aspect of a file, fields of the configuration, the same for programs', async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  const base = layer(
    folder('d'),
    file('d/same', 'same'),
    file('gone', 'gone'),
    file('content', 'one'),
    file('mode', 'x'),
  );
  const capability = new Map([['security.capability', Buffer.alloc(20, 1)]]);
  const config = (labels: Record<string, string>) => ({ labels });
  const odd = layer(
    file('owner', 'x'),
    file('xattrs', 'x'),
    symlink('target', 'a'),
    folder('type'),
    file('type/in', 'in'),
    file('copied', 'c'),
    { type: 'char', path: 'device', devMajor: 1, devMinor: 3 },
  );
  const changed = layer(
    file('.wh.gone', ''),
    file('content', 'two'),
    file('mode', 'x', { mode: 0o4755 }),
    file('owner', 'x', { uid: 5, gid: 6 }),
    file('xattrs', 'x', { xattrs: capability }),
    symlink('target', 'b\n'),
    file('type', 'now a file'),
    // Another copy of the same, at another time.
    file('copied', 'c', { mtime: { sec: 5, nsec: 0 } }),
    { type: 'char', path: 'device', devMajor: 1, devMinor: 5 },
    folder('new'),
    file('new/file', 'n'.repeat(2000)),
  );
  await load(setup, { layers: [base, odd], tags: ['one:latest'], ...config({ a: '1', b: 'x' }) });
  await load(setup, { layers: [base, odd, changed], tags: ['two:latest'], ...config({ a: '2' }) });
  const told = wherry(setup, 'diff', 'one', 'two');
  assert.deepEqual(told.stdout.split('\n'), [
    'config.Labels.a: "1" -> "2"',
    'config.Labels.b: "x" -> -',
    'C /content  content 3B -> 3B',
    'C /device  device 1:3 -> 1:5',
    'D /gone  4B',
    'C /mode  mode 0644 -> 4755',
    'A /new/',
    'A /new/file  2kB',
    'C /owner  owner 0:0 -> 5:6',
    'C /target  target a -> "b\\n"',
    'C /type  type directory -> file',
    'D /type/in  2B',
    'C /xattrs  xattrs {} -> {security.capability}',
    '2 added, 2 removed, 7 changed, +2kB; 2 of the configuration',
    '',
  ]);
  assert.match(
    wherry(setup, 'diff', '--times', 'one', 'two').stdout,
    /\nC \/copied {2}modified 1970-01-01T00:00:00Z -> 1970-01-01T00:00:05Z\n/,
  );
  const items = wherry(setup, 'diff', '--json', 'two', 'one')
    .stdout.trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(items[0], { kind: 'config', field: 'config.Labels.a', before: '2', after: '1' });
  const gone = items.find(({ after }) => after?.path === '/gone');
  assert.deepEqual([gone.change, gone.after.sizeBytes, gone.after.layer], ['added', 4, 0]);
  assert.equal(items.length, 13);
  // Statuses: as Docker's, unless asked for.
  assert.deepEqual([told.status, wherry(setup, 'diff', '--exit-code', 'one', 'two').status], [0, 1]);
  assert.deepEqual(wherry(setup, 'diff', '--exit-code', 'one', 'one'), { status: 0, stdout: '', stderr: '' });
  assert.equal(wherry(setup, 'diff', 'one', 'nope').stderr, 'Error response from daemon: No such image: nope:latest\n');
  // One argument is a container.
  const id = (await setup.docker.ok('create', 'one')).trim();
  assert.deepEqual(wherry(setup, 'diff', id), { status: 0, stdout: '', stderr: '' });
  assert.equal(wherry(setup, 'diff', 'nope').stderr, 'Error response from daemon: No such container: nope\n');
});
