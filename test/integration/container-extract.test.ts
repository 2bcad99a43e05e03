/** What a container that works against `docker cp` gains: nothing. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { endOfArchive, type PackEntry, packHeader, packPadding } from '#archive';
import { fromBytes } from '#streams';
import { requireRoot, temporaryFolder } from '#testing';
import { type ExtractOptions, extractInto } from '../../src/engine/containers/extract.ts';

type Item = Pick<PackEntry, 'type' | 'path'> & Partial<PackEntry> & { readonly data?: string };

function tarOf(items: readonly Item[]): Buffer {
  return Buffer.concat([
    ...items.flatMap(({ data = '', ...entry }) => {
      const bytes = Buffer.from(data);
      const head = packHeader({ mode: entry.type === 'directory' ? 0o755 : 0o644, ...entry, sizeBytes: bytes.length });
      return [head, bytes, packPadding(bytes.length)];
    }),
    endOfArchive,
  ]);
}

async function extract(
  root: string,
  items: readonly Item[],
  options: ExtractOptions = {},
  folder = '/',
): Promise<void> {
  const fd = openSync(root, 'r');
  try {
    await extractInto(fd, folder, fromBytes(tarOf(items)), options);
  } finally {
    closeSync(fd);
  }
}

const mode = (path: string) => lstatSync(path).mode & 0o7777;

test('entries take their places, modes, owners and times', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  const root = folder.path;
  const mtime = { sec: 1_000_000_000, nsec: 5 };
  await extract(root, [
    { type: 'directory', path: 'd/', mode: 0o2750, uid: 7, gid: 8, mtime },
    { type: 'file', path: 'd/f', mode: 0o4711, uid: 7, gid: 8, mtime, data: 'hello' },
    { type: 'hardlink', path: 'd/h', linkPath: 'd/f' },
    { type: 'symlink', path: 'd/s', linkPath: '/nowhere', uid: 7, gid: 8 },
    { type: 'fifo', path: 'd/p', mode: 0o622 },
    { type: 'char', path: 'd/c', mode: 0o666, devMajor: 1, devMinor: 3 },
    { type: 'file', path: 'missing/parents/f', data: 'x' },
  ]);
  const at = (name: string) => join(root, name);
  assert.deepEqual([mode(at('d')), lstatSync(at('d')).uid, lstatSync(at('d')).mtimeMs], [0o2750, 7, 1_000_000_000_000]);
  assert.deepEqual([mode(at('d/f')), lstatSync(at('d/f')).gid, lstatSync(at('d/f')).nlink], [0o4711, 8, 2]);
  assert.deepEqual([readlinkSync(at('d/s')), lstatSync(at('d/s')).uid], ['/nowhere', 7]);
  assert.deepEqual([mode(at('d/p')), mode(at('d/c')), lstatSync(at('d/c')).rdev], [0o622, 0o666, 0x103]);
  assert.deepEqual([mode(at('missing/parents')), readFileSync(at('missing/parents/f'), 'utf8')], [0o755, 'x']);
  await extract(root, [{ type: 'file', path: 'd/f', uid: 7, gid: 8 }], { owner: { uid: 9, gid: 10 } });
  assert.deepEqual([lstatSync(at('d/f')).uid, lstatSync(at('d/f')).gid], [9, 10]);
});

test('files arrive whole however the archive is cut, from memory that is only lent', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  const data = randomBytes(20_000).toString('latin1');
  const archive = tarOf([
    { type: 'directory', path: 'd' },
    { type: 'file', path: 'd/big', mode: 0o640, uid: 5, gid: 6, mtime: { sec: 9, nsec: 0 }, data },
    { type: 'file', path: 'd/empty' },
    { type: 'file', path: 'd/../d/./small', data: 'small' },
    { type: 'file', path: './d//two', data: 'two' },
  ]);
  async function* lent(size: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < archive.length; at += size) {
      const chunk = Buffer.from(archive.subarray(at, at + size));
      yield chunk;
      chunk.fill(0xee);
    }
  }
  const fd = openSync(folder.path, 'r');
  try {
    for (const size of [1, 511, 4096, 1 << 20]) {
      await extractInto(fd, `/${size}`, lent(size), { lent: true });
      const at = (name: string) => join(folder.path, String(size), 'd', name);
      const { uid, gid, mtimeMs } = lstatSync(at('big'));
      assert.deepEqual([mode(at('big')), uid, gid, mtimeMs], [0o640, 5, 6, 9000]);
      assert.ok(readFileSync(at('big')).equals(Buffer.from(data)), `cut at ${size}`);
      const texts = ['empty', 'small', 'two'].map((name) => readFileSync(at(name), 'utf8'));
      assert.deepEqual(texts, ['', 'small', 'two']);
    }
  } finally {
    closeSync(fd);
  }
});

test('a sparse file keeps its holes', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  const from = join(folder.path, 'from');
  writeFileSync(from, 'start');
  const fd = openSync(from, 'r+');
  writeSync(fd, 'middle', 3 << 20);
  ftruncateSync(fd, 8 << 20);
  closeSync(fd);
  for (const format of ['gnu', 'posix']) {
    const archive = execFileSync('tar', ['-S', `--format=${format}`, '-C', folder.path, '-c', 'from']);
    const root = openSync(folder.path, 'r');
    try {
      await extractInto(root, `/${format}`, fromBytes(archive.subarray(0, 700), archive.subarray(700)));
    } finally {
      closeSync(root);
    }
    const to = join(folder.path, format, 'from');
    assert.ok(readFileSync(to).equals(readFileSync(from)), format);
    assert.ok(lstatSync(to).blocks * 512 < 1 << 20, format);
  }
});

test('a file in a folder that hands on its group is the group of the archive', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  await extract(folder.path, [
    { type: 'directory', path: 'd', mode: 0o2755, gid: 8 },
    { type: 'file', path: 'd/f', data: 'x' },
  ]);
  assert.equal(lstatSync(join(folder.path, 'd/f')).gid, 0);
});

test('what is in the way goes, unless the client forbade it', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  const root = folder.path;
  mkdirSync(join(root, 'd/deep/er'), { recursive: true });
  writeFileSync(join(root, 'd/deep/er/f'), '');
  symlinkSync('/etc', join(root, 'd/deep/out'));
  writeFileSync(join(root, 'f'), '');
  const strict = { noOverwriteDirNonDir: true };
  await assert.rejects(extract(root, [{ type: 'file', path: 'd' }], strict), /cannot overwrite directory "\/d" with/);
  await assert.rejects(extract(root, [{ type: 'directory', path: 'f' }], strict), /cannot overwrite non-directory/);
  await extract(root, [
    { type: 'file', path: 'd', data: 'now a file' },
    { type: 'directory', path: 'f' },
    { type: 'file', path: 'f/inside' },
  ]);
  assert.equal(readFileSync(join(root, 'd'), 'utf8'), 'now a file');
  assert.deepEqual(readdirSync(join(root, 'f')), ['inside']);
  assert.ok(readdirSync('/etc').length > 0);
});

test('symlinks lead to places inside the root only', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  await using outside = await temporaryFolder();
  const root = folder.path;
  mkdirSync(join(root, outside.path), { recursive: true });
  symlinkSync(outside.path, join(root, 'link'));
  await extract(root, [{ type: 'file', path: 'link/f', data: 'x' }]);
  assert.deepEqual(readdirSync(outside.path), []);
  assert.equal(readFileSync(join(root, outside.path, 'f'), 'utf8'), 'x');
});

test('a container that swaps folders for symlinks while it is written to changes nothing outside', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  await using outside = await temporaryFolder();
  const victim = join(outside.path, 'victim');
  mkdirSync(join(victim, 'kept'), { recursive: true });
  chmodSync(victim, 0o700);
  chownSync(victim, 0, 0);
  // The attacker is inside: it swaps names for symlinks that on the host lead to the victim.
  const attack = `
    const fs = require('node:fs');
    const { workerData } = require('node:worker_threads');
    for (;;) for (const name of ['a', 'b']) {
      const path = workerData.root + '/' + name;
      try { fs.renameSync(path, workerData.root + '/aside-' + name); } catch {}
      try { fs.symlinkSync(workerData.victim, path); } catch {}
      try { fs.unlinkSync(path); } catch {}
      try { fs.renameSync(workerData.root + '/aside-' + name, path); } catch {}
    }`;
  const attacker = new Worker(attack, { eval: true, workerData: { root: folder.path, victim } });
  try {
    for (let round = 0; round < 400; round++) {
      const items: Item[] = ['a', 'b'].flatMap((name): Item[] => [
        { type: 'directory', path: name, mode: 0o777, uid: 1000, gid: 1000 },
        { type: 'file', path: `${name}/kept`, mode: 0o666 },
        { type: 'file', path: `${name}/evil`, mode: 0o666, data: 'evil' },
        { type: round % 2 ? 'fifo' : 'directory', path: name, mode: 0o777 },
      ]);
      await extract(folder.path, items).catch(() => {});
    }
  } finally {
    await attacker.terminate();
  }
  const { uid, gid } = lstatSync(victim);
  assert.deepEqual([mode(victim), uid, gid, readdirSync(victim)], [0o700, 0, 0, ['kept']]);
  assert.ok(lstatSync(join(victim, 'kept')).isDirectory());
  rmSync(folder.path, { recursive: true, force: true, maxRetries: 3 });
  mkdirSync(folder.path);
});
