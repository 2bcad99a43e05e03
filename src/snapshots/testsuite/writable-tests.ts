import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTar } from '#archive';
import { fromBytes } from '#streams';
import { sys } from '#sys';
import { requireRoot } from '#testing';
import type { SnapshotDriver } from '../types.ts';
import { Bench, treeDifferencesOf } from './bench.ts';
import { file, folder, type Item, symlink } from './layers.ts';
import type { DriverUnderTest } from './suite.ts';

const base: readonly Item[] = [
  folder('bin'),
  file('bin/tool', 'x', { mode: 0o755 }),
  folder('etc'),
  file('etc/config', 'old'),
  file('etc/removed'),
  folder('var'),
  folder('var/cache'),
  file('var/cache/a'),
  file('var/cache/b'),
  folder('var/lib'),
  file('var/lib/data'),
  symlink('link', 'etc/config'),
  file('replaced', 'by a folder'),
];

/** Does to a root what programs do. */
function workIn(root: string): void {
  const at = (path: string) => join(root, path);
  writeFileSync(at('etc/config'), 'new content');
  unlinkSync(at('etc/removed'));
  mkdirSync(at('etc/new.d'));
  writeFileSync(at('etc/new.d/one'), 'one');
  linkSync(at('etc/new.d/one'), at('etc/new.d/two'));
  sys.lsetxattr(at('etc/new.d/one'), 'user.note', Buffer.from('kept'));
  sys.lutimes(at('etc/new.d/one'), { sec: 5, nsec: 6 }, { sec: 7, nsec: 8 });
  rmSync(at('var/cache'), { recursive: true });
  mkdirSync(at('var/cache'));
  writeFileSync(at('var/cache/fresh'), 'fresh');
  rmSync(at('var/lib'), { recursive: true });
  unlinkSync(at('replaced'));
  mkdirSync(at('replaced'));
  writeFileSync(at('replaced/inside'), Buffer.alloc(200_000, 'i'));
  unlinkSync(at('link'));
  symlinkSync('bin/tool', at('link'));
  chmodSync(at('bin/tool'), 0o700);
  chownSync(at('bin'), 12, 34);
  sys.mknod(at('etc/pipe'), 0o010644, 0, 0);
  sys.mknod(at('etc/null'), 0o020666, 1, 3);
  mkdirSync(at('folder'));
  renameSync(at('folder'), at('renamed'));
}

const expected = [
  'C /bin',
  'C /bin/tool',
  'C /etc',
  'C /etc/config',
  'A /etc/new.d',
  'A /etc/new.d/one',
  'A /etc/new.d/two',
  'A /etc/null',
  'A /etc/pipe',
  'D /etc/removed',
  'C /link',
  'A /renamed',
  'C /replaced',
  'A /replaced/inside',
  'C /var',
  'C /var/cache',
  'D /var/cache/a',
  'D /var/cache/b',
  'A /var/cache/fresh',
  'D /var/lib',
];

async function listed(driver: SnapshotDriver, key: string): Promise<string[]> {
  const letters = { add: 'A', modify: 'C', delete: 'D' } as const;
  return (await driver.changes(key)).map(({ kind, path }) => `${letters[kind]} ${path}`);
}

async function diffOf(driver: SnapshotDriver, key: string): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(driver.diff(key)));
}

/** A line for each entry of a snapshot's diff: path, header, content. */
async function entriesOf(driver: SnapshotDriver, key: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const { body, path, xattrs, headerOffset: _, dataOffset: __, ...header } of readTar(driver.diff(key))) {
    const content = createHash('sha256');
    for await (const chunk of body) content.update(chunk);
    lines.push(`${path} ${JSON.stringify([header, [...xattrs]])} ${content.digest('hex')}`);
  }
  return lines;
}

/** 303 files of all sizes: some are gathered, some read in pieces, some go beyond what a thread may be ahead. */
function fillMany(folderPath: string): void {
  mkdirSync(folderPath);
  for (let number = 0; number < 300; number++) {
    writeFileSync(join(folderPath, `file-${number}`), randomBytes((number * 37) % 9000));
  }
  writeFileSync(join(folderPath, 'half'), randomBytes(70_000));
  writeFileSync(join(folderPath, 'large'), randomBytes((9 << 20) + 5));
  writeFileSync(join(folderPath, 'whole'), randomBytes(1 << 20));
}

/** The root's own time moves with every name made in it; a layer has no entry for it. */
function withoutRootTime(differences: readonly string[]): string[] {
  return differences.filter((line) => !line.startsWith('"/": mtime'));
}

export function writableTests({ name, open, reference }: DriverUnderTest): void {
  test(`${name}: changes are listed as Docker lists them, mounted or not`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const chain = await bench.root.add(base);
    const root = await bench.start('work', chain);
    assert.deepEqual(await listed(bench.driver, 'work'), []);
    workIn(root);
    assert.deepEqual(await listed(bench.driver, 'work'), expected);
    await bench.driver.unmount('work');
    assert.deepEqual(await listed(bench.driver, 'work'), expected);
    await bench.driver.remove('work');
  });

  test(`${name}: the diff, applied as a layer, gives the same tree`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const chain = await bench.root.add(base, [folder('etc', { mode: 0o711 })]);
    const root = await bench.start('work', chain);
    workIn(root);
    const diff = await diffOf(bench.driver, 'work');
    assert.deepEqual(await diffOf(bench.driver, 'work'), diff);
    const committed = [...chain, await bench.root.addTar(diff)];
    const again = await bench.start('again', committed);
    assert.deepEqual(withoutRootTime(treeDifferencesOf(root, again)), []);
    await bench.stop('again');
    await bench.stop('work');
    assert.deepEqual(await bench.differencesFromCopies(committed), []);
  });

  test(`${name}: the diff is a sorted layer tar with whiteouts and nothing of overlayfs`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const root = await bench.start('work', await bench.root.add(base));
    workIn(root);
    const entries = [];
    for await (const { body: _, ...entry } of readTar(fromBytes(await diffOf(bench.driver, 'work'))))
      entries.push(entry);
    const paths = entries.map(({ path }) => path);
    assert.ok(paths.includes('etc/.wh.removed'));
    assert.ok(paths.includes('var/.wh.lib'));
    assert.ok(paths.includes('var/cache/.wh..wh..opq') || paths.includes('var/cache/.wh.a'));
    assert.ok(!paths.includes('./'));
    assert.deepEqual(
      entries.filter(({ type }) => type === 'hardlink').map(({ path, linkPath }) => [path, linkPath]),
      [['etc/new.d/two', 'etc/new.d/one']],
    );
    const one = entries.find(({ path }) => path === 'etc/new.d/one');
    assert.deepEqual(one?.mtime, { sec: 7, nsec: 8 });
    assert.deepEqual(
      [...(one?.xattrs ?? [])].map(([key, value]) => [key, Buffer.from(value).toString()]),
      [['user.note', 'kept']],
    );
    assert.ok(entries.every(({ xattrs }) => [...xattrs.keys()].every((key) => !key.startsWith('trusted.overlay'))));
    await bench.stop('work');
  });

  test(`${name}: the diff of many names, which a thread packs, says the same of each`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const chain = await bench.root.add(base);
    const root = await bench.start('work', chain);
    workIn(root);
    const few = await entriesOf(bench.driver, 'work');
    fillMany(join(root, 'etc/new.d/many'));
    const diff = await diffOf(bench.driver, 'work');
    const many = await entriesOf(bench.driver, 'work');
    const inMany = (line: string) => line.startsWith('etc/new.d/many');
    assert.deepEqual(
      many.filter((line) => !inMany(line) && !line.startsWith('etc/new.d/ ')),
      few.filter((line) => !line.startsWith('etc/new.d/ ')),
    );
    assert.equal(many.filter(inMany).length, 304);
    const again = await bench.start('again', [...chain, await bench.root.addTar(diff)]);
    assert.deepEqual(withoutRootTime(treeDifferencesOf(root, again)), []);
    await bench.stop('again');
    await bench.stop('work');
  });

  test(`${name}: a reader may leave the diff of many names, and stop it`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const root = await bench.start('work', await bench.root.add(base));
    fillMany(join(root, 'etc/many'));
    for (let time = 0; time < 6; time++) {
      for await (const chunk of bench.driver.diff('work')) {
        assert.ok(chunk.length > 0);
        break;
      }
    }
    const stop = new AbortController();
    const read = async () => {
      for await (const _ of bench.driver.diff('work', { signal: stop.signal })) stop.abort(new Error('stopped'));
    };
    await assert.rejects(read(), { message: 'stopped' });
    await bench.stop('work');
  });

  test(`${name}: a chain without layers is a writable root too`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const root = await bench.start('scratch', []);
    mkdirSync(join(root, 'd'));
    writeFileSync(join(root, 'd/f'), 'x');
    assert.deepEqual(await listed(bench.driver, 'scratch'), ['A /d', 'A /d/f']);
    const committed = [await bench.root.addTar(await diffOf(bench.driver, 'scratch'))];
    const again = await bench.start('again', committed);
    assert.deepEqual(withoutRootTime(treeDifferencesOf(root, again)), []);
    await bench.stop('again');
    await bench.stop('scratch');
  });

  test(`${name}: a changed root folder has an entry in the diff`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const chain = await bench.root.add(base);
    const root = await bench.start('work', chain);
    chmodSync(root, 0o750);
    const committed = [...chain, await bench.root.addTar(await diffOf(bench.driver, 'work'))];
    const again = await bench.start('again', committed);
    assert.deepEqual(withoutRootTime(treeDifferencesOf(root, again)), []);
    assert.equal(sys.lstat(again).mode & 0o7777, 0o750);
    await bench.stop('again');
    await bench.stop('work');
  });

  test(`${name}: sockets are left out of the diff`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const root = await bench.start('work', await bench.root.add(base));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(root, 's'), resolve));
    const entries = await Array.fromAsync(readTar(fromBytes(await diffOf(bench.driver, 'work'))), ({ path }) => path);
    assert.deepEqual(entries, []);
    await new Promise((resolve) => server.close(resolve));
    await bench.stop('work');
  });

  test(`${name}: usage counts what was written`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const root = await bench.start('work', await bench.root.add(base));
    assert.deepEqual(await bench.driver.usage('work'), { sizeBytes: 0, inodes: 0 });
    writeFileSync(join(root, 'bin/new'), Buffer.alloc(1234));
    linkSync(join(root, 'bin/new'), join(root, 'bin/newer'));
    assert.deepEqual(await bench.driver.usage('work'), { sizeBytes: 1234, inodes: 2 });
    await bench.stop('work');
  });

  test(`${name}: a snapshot’s folders are where it says`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const root = await bench.start('work', await bench.root.add(base));
    writeFileSync(join(root, 'bin/new'), 'new');
    const folders = await bench.driver.folders('work');
    if (folders !== null) {
      assert.equal(folders['MergedDir'], root);
      assert.deepEqual(readdirSync(join(folders['UpperDir']!, 'bin')), ['new']);
      assert.ok(existsSync(folders['WorkDir']!));
    }
    await assert.rejects(bench.driver.folders('nosuch'), { kind: 'not-found' });
    await bench.stop('work');
  });

  test(`${name}: a file touched back to its old time is no change`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const root = await bench.start('work', await bench.root.add([file('f', 'x', { mtime: { sec: 1000, nsec: 0 } })]));
    writeFileSync(join(root, 'f'), 'y');
    utimesSync(join(root, 'f'), 1000, 1000);
    assert.deepEqual(await listed(bench.driver, 'work'), []);
    await bench.stop('work');
  });
}
