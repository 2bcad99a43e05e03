/** Filling a volume with owners, devices, capabilities and odd names: needs root. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { sys } from '#sys';
import { requireRoot, temporaryFolder } from '#testing';
import { openVolumes, type VolumeDocument, type VolumeTable } from '#volume';

function memoryTable(): VolumeTable {
  const rows = new Map<string, VolumeDocument>();
  return {
    byName: (name) => rows.get(name),
    list: () => [...rows.values()],
    put: (document) => Promise.resolve(void rows.set(document.id, document)),
    remove: (id) => Promise.resolve(void rows.delete(id)),
  };
}

async function opened() {
  const folder = await temporaryFolder();
  const volumes = await openVolumes({ root: join(folder.path, 'volumes'), table: memoryTable() });
  const source = join(folder.path, 'source');
  mkdirSync(source);
  return { folder, volumes, source, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

/** One line per entry: everything that must survive a copy. */
function listing(folder: string): string[] {
  const lines: string[] = [];
  const names = (readdirSync(folder, { recursive: true, encoding: 'buffer' }) as Buffer[]).sort(Buffer.compare);
  for (const name of [Buffer.from('.'), ...names]) {
    const path = Buffer.concat([Buffer.from(`${folder}/`), name]);
    const { mode, uid, gid, nlink, mtime, rdevMajor, rdevMinor } = sys.lstat(path);
    const attributes = sys.llistxattr(path).map((key) => `${key}=${sys.lgetxattr(path, key)?.toString('hex')}`);
    const content = lstatSync(path).isFile() ? readFileSync(path, 'hex') : '';
    const target = lstatSync(path).isSymbolicLink() ? readlinkSync(path) : '';
    lines.push(
      [
        name.toString('hex'),
        mode.toString(8),
        uid,
        gid,
        lstatSync(path).isDirectory() ? '' : nlink,
        `${mtime.sec}.${mtime.nsec}`,
        `${rdevMajor}:${rdevMinor}`,
        attributes.sort(),
        content,
        target,
      ].join(' '),
    );
  }
  return lines;
}

test('a volume is filled with everything that belongs to the files', async (t) => {
  if (!requireRoot(t)) return;
  await using here = await opened();
  const { source, volumes } = here;
  const at = (name: string) => join(source, name);
  mkdirSync(at('sub/deep'), { recursive: true });
  writeFileSync(at('sub/plain'), 'content');
  chownSync(at('sub/plain'), 1000, 2000);
  writeFileSync(at('setuid'), '#!');
  chownSync(at('setuid'), 5, 6);
  chmodSync(at('setuid'), 0o4755);
  sys.lsetxattr(at('setuid'), 'security.capability', Buffer.from('0100000200040000000000000000000000000000', 'hex'));
  sys.lsetxattr(at('sub'), 'user.note', Buffer.from([0, 255, 1]));
  linkSync(at('sub/plain'), at('again'));
  symlinkSync('/etc/passwd', at('absolute'));
  symlinkSync('../../outside', at('sub/up'));
  sys.mknod(at('null'), 0o020666, 1, 3);
  sys.mknod(at('fifo'), 0o010600, 0, 0);
  writeFileSync(Buffer.concat([Buffer.from(`${source}/`), Buffer.from([0xff, 0xfe, 0x41])]), 'x');
  chmodSync(at('sub/deep'), 0o1777);
  sys.lutimes(at('sub/plain'), { sec: 1, nsec: 2 }, { sec: 1_600_000_000, nsec: 123_456_789 });
  sys.lutimes(at('absolute'), { sec: 1, nsec: 2 }, { sec: -5, nsec: 7 });
  sys.lutimes(at('sub'), { sec: 1, nsec: 2 }, { sec: 1_500_000_000, nsec: 1 });
  chownSync(source, 33, 44);
  chmodSync(source, 0o2750);
  sys.lutimes(source, { sec: 1, nsec: 2 }, { sec: 1_400_000_000, nsec: 9 });
  const expected = listing(source);
  const { mountpoint } = await volumes.create({ name: 'full' });
  const before = lstatSync(mountpoint).ino;
  assert.equal(await volumes.populate('full', source), true);
  assert.deepEqual(listing(mountpoint), expected);
  assert.equal(lstatSync(mountpoint).ino, before);
  assert.equal(lstatSync(join(mountpoint, 'again')).ino, lstatSync(join(mountpoint, 'sub/plain')).ino);
  assert.deepEqual(readdirSync(join(mountpoint, '..')), ['_data']);
  assert.equal(await volumes.populate('full', source), false);
});

test('sockets are left out, and an empty folder gives its owner and mode', async (t) => {
  if (!requireRoot(t)) return;
  await using here = await opened();
  const { source, volumes } = here;
  chownSync(source, 7, 8);
  chmodSync(source, 0o711);
  const { mountpoint } = await volumes.create({ name: 'empty' });
  assert.equal(await volumes.populate('empty', source), true);
  const { mode, uid, gid } = lstatSync(mountpoint);
  assert.deepEqual([mode & 0o7777, uid, gid], [0o711, 7, 8]);
  const server = createServer().listen(join(source, 'socket'));
  writeFileSync(join(source, 'file'), '');
  assert.equal(await volumes.populate('empty', source), true);
  server.close();
  assert.deepEqual(readdirSync(mountpoint), ['file']);
});

test('what is not an empty volume and a folder is left as it is', async (t) => {
  if (!requireRoot(t)) return;
  await using here = await opened();
  const { source, volumes, folder } = here;
  const { mountpoint } = await volumes.create({ name: 'some' });
  writeFileSync(join(source, 'file'), 'x');
  symlinkSync(source, join(folder.path, 'link'));
  for (const path of [join(source, 'file'), join(source, 'absent'), join(folder.path, 'link')]) {
    assert.equal(await volumes.populate('some', path), false);
  }
  await assert.rejects(volumes.populate('some', source, { signal: AbortSignal.abort(new Error('enough')) }), /enough/);
  assert.deepEqual(readdirSync(mountpoint), []);
  assert.deepEqual(await Array.fromAsync(volumes.verify()), []);
  writeFileSync(join(mountpoint, 'own'), '');
  assert.equal(await volumes.populate('some', source), false);
  assert.deepEqual(readdirSync(mountpoint), ['own']);
  await assert.rejects(volumes.populate('none', source), /no such volume/);
});

test('the event loop stays free while a large tree is copied, and an abort leaves the volume empty', async (t) => {
  if (!requireRoot(t)) return;
  await using here = await opened();
  const { source, volumes } = here;
  for (let folder = 0; folder < 40; folder++) {
    mkdirSync(join(source, `d${folder}`));
    for (let file = 0; file < 100; file++) writeFileSync(join(source, `d${folder}`, `f${file}`), `${file}`);
  }
  const { mountpoint } = await volumes.create({ name: 'large' });
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error('stopped')), 60);
  await assert.rejects(volumes.populate('large', source, { signal: stop.signal }));
  assert.deepEqual(readdirSync(mountpoint), []);
  assert.deepEqual(await Array.fromAsync(volumes.verify()), []);
  let worstMs = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    worstMs = Math.max(worstMs, performance.now() - last);
    last = performance.now();
  }, 2);
  assert.equal(await volumes.populate('large', source), true);
  clearInterval(timer);
  assert.deepEqual(listing(mountpoint), listing(source));
  t.diagnostic(`longest pause of the event loop: ${worstMs.toFixed(0)} ms`);
  assert.ok(worstMs < 250, `event loop stood still for ${worstMs} ms`);
});

test('a volume with a mount inside is not removed', async (t) => {
  if (!requireRoot(t)) return;
  await using here = await opened();
  const { mountpoint } = await here.volumes.create({ name: 'mounted' });
  mkdirSync(join(mountpoint, 'm n'));
  execFileSync('mount', ['-t', 'tmpfs', 'none', join(mountpoint, 'm n')]);
  try {
    await assert.rejects(here.volumes.remove('mounted'), /volume is in use: .*m n is a mount point/);
  } finally {
    execFileSync('umount', [join(mountpoint, 'm n')]);
  }
  await here.volumes.remove('mounted');
});
