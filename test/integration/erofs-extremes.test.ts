/** What no tree on a test's disk has: files of more than 8 GiB, paths as long as the kernel takes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesFromUtf8, endOfArchive, packHeader, packPadding, TarParser } from '#archive';
import { buildIndex, encodeIndex, fileSource, LayerIndexer } from '#erofs';
import { mountAttr, sys } from '#sys';
import { requireRoot, temporaryFolder } from '#testing';

const gib = 2 ** 30;

/** Mounts an index with its tar; undefined, said aloud, where this kernel cannot. */
function mounted(
  t: { skip(why: string): void },
  folder: string,
  tar: string,
  index: string,
): (Disposable & { path: string }) | undefined {
  const path = join(folder, 'mnt');
  mkdirSync(path);
  try {
    sys.fsMount(
      'erofs',
      [
        ['source', index],
        ['device', tar],
      ],
      path,
      mountAttr.readOnly,
    );
  } catch (error) {
    t.skip(`this kernel cannot mount an EROFS index from a file: ${error}`);
    return undefined;
  }
  return { path, [Symbol.dispose]: () => sys.umount(path, 0) };
}

/** The size as GNU tar and Docker write it where octal digits do not do: big-endian, with the top bit set. */
function base256(header: Buffer, sizeBytes: number): Buffer {
  header.fill(0, 124, 136);
  header[124] = 0x80;
  header.writeBigUInt64BE(BigInt(sizeBytes), 128);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

for (const form of ['PAX', 'base-256'] as const) {
  test(`a file of more than 8 GiB that is no sparse one: ${form}`, async (t) => {
    if (!requireRoot(t)) return;
    await using folder = await temporaryFolder();
    const sizeBytes = 9 * gib + 1234;
    const entry = { type: 'file' as const, path: bytesFromUtf8('huge'), mode: 0o640 };
    const header =
      form === 'PAX'
        ? packHeader({ ...entry, sizeBytes })
        : base256(Buffer.from(packHeader({ ...entry, sizeBytes: 0 })), sizeBytes);
    const after = Buffer.concat([
      packHeader({ ...entry, path: bytesFromUtf8('after'), sizeBytes: 5 }),
      Buffer.from('after'),
      packPadding(5),
      endOfArchive,
    ]);
    const [tar, index] = [join(folder.path, 'layer.tar'), join(folder.path, 'layer.erofs')];

    // The tar's zeros are holes of its file here, which the parser is not told.
    const fd = openSync(tar, 'w+');
    writeSync(fd, header, 0, header.length, 0);
    const marks = [0, 4 * gib - 3, 8 * gib + 5, sizeBytes - 6];
    for (const at of marks) writeSync(fd, Buffer.from(`m${marks.indexOf(at)}!`), 0, 3, header.length + at);
    const end = header.length + sizeBytes + packPadding(sizeBytes).length;
    ftruncateSync(fd, end);
    writeSync(fd, after, 0, after.length, end);
    const indexer = new LayerIndexer({ ...fileSource(fd, 'huge'), sizeBytes: end + after.length });
    const parser = new TarParser({ entry: (found) => indexer.add(found) });
    const zeros = Buffer.alloc(32 << 20);
    parser.write(header);
    for (let left = end - header.length; left > 0; left -= zeros.length)
      parser.write(zeros.subarray(0, Math.min(left, zeros.length)));
    parser.write(after);
    parser.end();
    indexer.finish();
    const indexFd = openSync(index, 'w');
    encodeIndex(indexer).writeTo(indexFd);
    fsyncSync(indexFd);
    for (const open of [indexFd, fd]) closeSync(open);

    using mount = mounted(t, folder.path, tar, index);
    if (!mount) return;
    assert.equal(sys.lstat(join(mount.path, 'huge')).size, sizeBytes);
    const huge = openSync(join(mount.path, 'huge'), 'r');
    for (const [number, at] of marks.entries()) {
      const read = Buffer.alloc(5);
      readSync(huge, read, 0, 5, at);
      assert.equal(read.toString('latin1'), `m${number}!\0\0`);
    }
    closeSync(huge);
    assert.equal(execFileSync('cat', [join(mount.path, 'after')], { encoding: 'utf8' }), 'after');
  });
}

test('a path of 4,096 bytes', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  const parts = [...Array.from({ length: 15 }, (_, at) => `${at}`.padEnd(255, 'p')), 'q'.repeat(250), 'leaf'];
  const path = parts.join('/');
  assert.equal(path.length, 4095);
  const [tar, index] = [join(folder.path, 'layer.tar'), join(folder.path, 'layer.erofs')];
  const fd = openSync(tar, 'w');
  for (const name of [`${path}1`, `${path}2`]) {
    for (const bytes of [
      packHeader({ type: 'file', path: bytesFromUtf8(name), mode: 0o604, sizeBytes: 3 }),
      Buffer.from(name.slice(-3)),
      packPadding(3),
    ])
      writeSync(fd, bytes);
  }
  const link = {
    type: 'hardlink' as const,
    path: bytesFromUtf8('short'),
    linkPath: bytesFromUtf8(`${path}2`),
    mode: 0o604,
  };
  writeSync(fd, Buffer.concat([packHeader(link), endOfArchive]));
  closeSync(fd);
  buildIndex({ tarPath: tar, tag: 'long', indexPath: index });

  using mount = mounted(t, folder.path, tar, index);
  if (!mount) return;
  // Longer than what a system call takes at once: looked up a step at a time.
  const found = execFileSync('find', ['.', '-type', 'f', '-printf', '%m %n %f\n'], {
    cwd: mount.path,
    encoding: 'utf8',
  });
  assert.deepEqual(found.trim().split('\n').sort(), ['604 1 leaf1', '604 2 leaf2', '604 2 short']);
  assert.equal(execFileSync('cat', [join(mount.path, 'short')], { encoding: 'utf8' }), 'af2');
});
