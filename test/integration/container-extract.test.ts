/** What a container that works against `docker cp` gains: nothing. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
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
  await extract(
    root,
    [
      { type: 'directory', path: 'd/', mode: 0o2750, uid: 7, gid: 8, mtime },
      { type: 'file', path: 'd/f', mode: 0o4711, uid: 7, gid: 8, mtime, data: 'hello' },
      { type: 'hardlink', path: 'd/h', linkPath: 'd/f' },
      { type: 'symlink', path: 'd/s', linkPath: '/nowhere', uid: 7, gid: 8 },
      { type: 'fifo', path: 'd/p', mode: 0o622 },
      { type: 'char', path: 'd/c', mode: 0o666, devMajor: 1, devMinor: 3 },
      { type: 'file', path: 'missing/parents/f', data: 'x' },
    ],
    { copyUIDGID: true },
  );
  const at = (name: string) => join(root, name);
  assert.deepEqual([mode(at('d')), lstatSync(at('d')).uid, lstatSync(at('d')).mtimeMs], [0o2750, 7, 1_000_000_000_000]);
  assert.deepEqual([mode(at('d/f')), lstatSync(at('d/f')).gid, lstatSync(at('d/f')).nlink], [0o4711, 8, 2]);
  assert.deepEqual([readlinkSync(at('d/s')), lstatSync(at('d/s')).uid], ['/nowhere', 7]);
  assert.deepEqual([mode(at('d/p')), mode(at('d/c')), lstatSync(at('d/c')).rdev], [0o622, 0o666, 0x103]);
  assert.deepEqual([mode(at('missing/parents')), readFileSync(at('missing/parents/f'), 'utf8')], [0o755, 'x']);
  await extract(root, [{ type: 'file', path: 'd/f', uid: 7, gid: 8 }]);
  assert.equal(lstatSync(at('d/f')).uid, 0);
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
      await extract(folder.path, items, { copyUIDGID: true }).catch(() => {});
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
