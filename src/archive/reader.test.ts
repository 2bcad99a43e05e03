import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { isKind } from '#errdefs';
import { fromBytes, readAll } from '#streams';
import { temporaryFolder } from '#testing';
import {
  bytesFromUtf8,
  endOfArchive,
  type PackEntry,
  packHeader,
  packPadding,
  packTar,
  readTar,
  type TarItem,
  utf8FromBytes,
} from './index.ts';
import { formatPaxRecord } from './pax.ts';

const limit = 1 << 26;

interface Read extends TarItem {
  readonly content: Buffer;
}

async function* cut(bytes: Buffer, sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes);
}

async function readWhole(
  bytes: Buffer,
  options: { chunkBytes?: number; concatenated?: boolean } = {},
): Promise<Read[]> {
  const entries: Read[] = [];
  const source = cut(bytes, options.chunkBytes ?? 4096);
  for await (const item of readTar(source, { concatenated: options.concatenated ?? false }))
    entries.push({ ...item, content: await readAll(item.body, limit) });
  return entries;
}

function pack(...files: readonly { entry: PackEntry; body?: Uint8Array }[]): Promise<Buffer> {
  return readAll(packTar(files), limit);
}

const entryOf = (path: string, body = ''): { entry: PackEntry; body: Uint8Array } => ({
  entry: { type: 'file', path, sizeBytes: body.length, mode: 0o644 },
  body: Buffer.from(body),
});

const bytes = (minLength: number, maxLength: number) =>
  fc.array(fc.integer({ min: 1, max: 255 }), { minLength, maxLength }).map((units) => String.fromCharCode(...units));
const time = fc
  .tuple(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), fc.integer({ min: 0, max: 999_999_999 }))
  .map(([sec, nsec]) => ({ sec, nsec }));
const xattrs = fc
  .array(
    fc.tuple(
      bytes(1, 20).filter((name) => !name.includes('=')),
      fc.uint8Array({ maxLength: 60 }),
    ),
    { maxLength: 3 },
  )
  .map((pairs) => new Map(pairs));
const attributes = {
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.integer({ min: 0, max: 2 ** 32 - 2 }),
  gid: fc.integer({ min: 0, max: 2 ** 32 - 2 }),
  userName: bytes(0, 40),
  groupName: bytes(0, 40),
  mtime: time,
  atime: fc.option(time, { nil: undefined }),
  ctime: fc.option(time, { nil: undefined }),
  xattrs,
  path: bytes(1, 300).filter((path) => !path.endsWith('/')),
};
const file = fc.record({
  ...attributes,
  type: fc.constant('file' as const),
  content: fc.uint8Array({ maxLength: 1500 }),
});
const link = fc.record({
  ...attributes,
  type: fc.constantFrom('symlink' as const, 'hardlink' as const),
  linkPath: bytes(1, 300),
});
const device = fc.record({
  ...attributes,
  type: fc.constantFrom('char' as const, 'block' as const),
  devMajor: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  devMinor: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
});
const plain = fc.record({ ...attributes, type: fc.constantFrom('directory' as const, 'fifo' as const) });

test('what is packed is read back, whatever the chunks', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(file, link, device, plain), { maxLength: 6 }),
      fc.integer({ min: 1, max: 3000 }),
      async (entries, chunkBytes) => {
        const packed = await pack(
          ...entries.map((entry) => {
            const body = 'content' in entry ? entry.content : new Uint8Array();
            return { entry: { ...entry, sizeBytes: body.length }, body };
          }),
        );
        const read = await readWhole(packed, { chunkBytes });
        assert.equal(read.length, entries.length);
        for (const [i, entry] of entries.entries()) {
          const got = read[i]!;
          const { content, linkPath, devMajor, devMinor, ...want } = {
            content: new Uint8Array(),
            linkPath: '',
            devMajor: 0,
            devMinor: 0,
            ...entry,
          };
          if (want.type === 'directory') want.path += '/';
          assert.deepEqual(Object.fromEntries(Object.keys(want).map((key) => [key, got[key as keyof Read]])), {
            ...want,
            xattrs: new Map([...want.xattrs].map(([name, value]) => [name, Buffer.from(value)])),
          });
          assert.deepEqual([got.linkPath, got.devMajor, got.devMinor], [linkPath, devMajor, devMinor]);
          assert.deepEqual(got.content, Buffer.from(content));
          if (got.type === 'file')
            assert.deepEqual(packed.subarray(got.dataOffset, got.dataOffset + got.storedBytes), got.content);
        }
      },
    ),
    { numRuns: 150 },
  );
});

test('packing is deterministic and plain where it can be', async () => {
  const entry: PackEntry = { type: 'file', path: 'a/b', sizeBytes: 3, mode: 0o755, mtime: { sec: 5, nsec: 0 } };
  assert.equal(packHeader(entry).length, 512);
  assert.deepEqual(packHeader(entry), packHeader({ ...entry }));
  assert.equal(packHeader({ ...entry, path: `${'d'.repeat(120)}/${'f'.repeat(90)}` }).length, 512);
  assert.equal(packHeader({ ...entry, mtime: { sec: 5, nsec: 1 } }).length, 3 * 512);
});

test('a body of the wrong length is refused', async () => {
  for (const body of ['ab', 'abcd']) {
    const packed = readAll(packTar([{ ...entryOf('f', 'abc'), body: Buffer.from(body) }]), limit);
    await assert.rejects(packed, (error) => isKind(error, 'data-loss'));
  }
});

test('bodies that are not read are skipped, and an early leave releases the source', async () => {
  const packed = await pack(entryOf('a', 'x'.repeat(5000)), entryOf('b', 'yes'), entryOf('c'));
  let released = false;
  async function* source() {
    try {
      yield* cut(packed, 700);
    } finally {
      released = true;
    }
  }
  const seen: string[] = [];
  for await (const item of readTar(source())) {
    seen.push(item.path);
    if (item.path === 'b') {
      assert.equal((await readAll(item.body, 10)).toString(), 'yes');
      break;
    }
  }
  assert.deepEqual(seen, ['a', 'b']);
  assert.equal(released, true);
});

test('missing end marker, missing last padding, trailing rubbish and concatenated archives', async () => {
  const entry = packHeader({ type: 'file', path: 'a', sizeBytes: 3 });
  const bare = Buffer.concat([entry, Buffer.from('abc')]);
  const whole = Buffer.concat([bare, packPadding(3), endOfArchive]);
  assert.equal((await readWhole(bare))[0]!.content.toString(), 'abc');
  assert.equal((await readWhole(Buffer.concat([bare, packPadding(3)]))).length, 1);
  assert.equal((await readWhole(Buffer.concat([whole, Buffer.from('rubbish')]))).length, 1);
  assert.equal((await readWhole(Buffer.concat([whole, whole]))).length, 1);
  assert.equal((await readWhole(Buffer.concat([whole, whole]), { concatenated: true })).length, 2);
  assert.equal((await readWhole(Buffer.alloc(0))).length, 0);
});

const field = (header: Buffer, offset: number, value: string): Buffer => {
  const copy = Buffer.from(header);
  copy.write(value, offset, 'latin1');
  return resum(copy);
};

function resum(block: Buffer): Buffer {
  block.fill(0x20, 148, 156);
  const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

const extension = (flag: string, body: string): Buffer => {
  const header = packHeader({ type: 'file', path: 'ext', sizeBytes: body.length });
  return Buffer.concat([field(header, 156, flag), Buffer.from(body, 'latin1'), packPadding(body.length)]);
};

const records = (...texts: readonly string[]): Buffer =>
  extension(
    'x',
    texts.map((text) => formatPaxRecord(text.split('=', 1)[0]!, text.slice(text.indexOf('=') + 1))).join(''),
  );

test('hostile headers are refused', async () => {
  const header = packHeader({ type: 'file', path: 'a', sizeBytes: 3 });
  const corrupt = Buffer.from(header);
  corrupt[0] = 0x62;
  const hostile: Record<string, Buffer> = {
    'wrong checksum': corrupt,
    'not octal': field(header, 124, 'x'),
    'truncated body': Buffer.concat([header, Buffer.from('a')]),
    'truncated header': header.subarray(0, 100),
    'extension without entry': Buffer.concat([extension('x', '11 path=ab\n'), endOfArchive]),
    'extension and end of file': extension('L', 'name\0'),
    'huge extension': field(packHeader({ type: 'file', path: 'a', sizeBytes: 2 << 20 }), 156, 'x'),
    'pax length too long': Buffer.concat([extension('x', '99 path=ab\n'), header]),
    'pax without equals': Buffer.concat([extension('x', '8 pathab\n'), header]),
    'pax NUL in path': Buffer.concat([records('path=a\0b'), header]),
    'pax size negative': Buffer.concat([records('size=-1'), header]),
    'pax size absurd': Buffer.concat([records('size=99999999999999999'), header]),
    'base-256 absurd': resum(Buffer.concat([header.subarray(0, 124), Buffer.alloc(12, 0xbf), header.subarray(136)])),
    'unknown type': field(header, 156, 'M'),
    'lone zero block': Buffer.concat([Buffer.alloc(512), header, Buffer.from('abc')]),
    'not a tar': Buffer.from('hello world '.repeat(100)),
    'sparse overlap': Buffer.concat([
      records('GNU.sparse.size=9', 'GNU.sparse.map=0,2,1,1'),
      header,
      Buffer.from('abc'),
    ]),
    'sparse outside': Buffer.concat([records('GNU.sparse.size=9', 'GNU.sparse.map=8,3'), header, Buffer.from('abc')]),
    'sparse map endless': Buffer.concat([
      records('GNU.sparse.major=1', 'GNU.sparse.minor=0', 'GNU.sparse.realsize=3'),
      header,
      Buffer.alloc(4096, '1\n'),
    ]),
  };
  for (const [name, archive] of Object.entries(hostile)) {
    await assert.rejects(readWhole(archive), (error) => isKind(error, 'invalid-argument'), name);
  }
});

test('global records hold until taken back; PAX beats ustar; GNU names win', async () => {
  const header = packHeader({ type: 'file', path: 'a', uid: 7 });
  const read = await readWhole(
    Buffer.concat([
      extension('g', '10 uid=42\n'),
      header,
      records('uid=43', 'path=pax'),
      header,
      extension('g', '7 uid=\n'),
      records('path=pax'),
      extension('L', 'gnu\0'),
      header,
    ]),
  );
  assert.deepEqual(
    read.map((entry) => [entry.path, entry.uid]),
    [
      ['a', 42],
      ['pax', 43],
      ['gnu', 7],
    ],
  );
  assert.equal(read[1]!.headerOffset, 3 * 512);
});

test('times before 1970 and signed checksums', async () => {
  const header = packHeader({ type: 'file', path: 'a', mtime: { sec: -2, nsec: 500_000_000 } });
  assert.match(header.toString('latin1'), /mtime=-1\.5\n/);
  assert.deepEqual((await readWhole(header))[0]!.mtime, { sec: -2, nsec: 500_000_000 });
  const signed = packHeader({ type: 'file', path: 'é' });
  const sum = Number.parseInt(signed.toString('latin1', 148, 154), 8) - 256;
  signed.write(sum.toString(8).padStart(6, '0'), 148, 'latin1');
  assert.equal((await readWhole(signed))[0]!.path, 'é');
});

test('GNU tar in every format: names, links, times, sparse files', async (t) => {
  await using folder = await temporaryFolder();
  const root = join(folder.path, 'root');
  mkdirSync(root);
  const long = 'n'.repeat(120);
  mkdirSync(join(root, long));
  writeFileSync(join(root, long, 'ünï'), 'text');
  symlinkSync('t'.repeat(150), join(root, 'link'));
  const fd = openSync(join(root, 'sparse'), 'w');
  for (let i = 0; i < 30; i++) writeSync(fd, Buffer.alloc(4096, 65 + i), 0, 4096, i * 65_536 + 8192);
  ftruncateSync(fd, 3_000_000);
  closeSync(fd);
  utimesSync(join(root, 'sparse'), 1.25, 1.25);
  const sparse = readFileSync(join(root, 'sparse'));
  for (const format of ['gnu', 'posix', 'oldgnu', 'posix --sparse-version=0.0', 'posix --sparse-version=0.1']) {
    const tar = join(folder.path, 'x.tar');
    try {
      execFileSync('tar', ['-cSf', tar, '--format', ...format.split(' '), '--sort=name', '-C', root, '.']);
    } catch (error) {
      t.skip(`GNU tar is not usable here: ${error}`);
      return;
    }
    for (const chunkBytes of [511, 1 << 20]) {
      const read = await readWhole(readFileSync(tar), { chunkBytes });
      const byPath = new Map(read.map((entry) => [utf8FromBytes(entry.path), entry]));
      assert.equal(byPath.get(`./${long}/ünï`)?.content.toString(), 'text', format);
      assert.equal(byPath.get('./link')?.linkPath, 't'.repeat(150));
      const got = byPath.get('./sparse')!;
      assert.ok(got.sparse !== undefined && got.sparse.length >= 30, format);
      assert.ok(got.storedBytes < 200_000);
      assert.equal(got.content.equals(sparse), true, format);
      if (format.startsWith('posix')) assert.deepEqual(got.mtime, { sec: 1, nsec: 250_000_000 });
    }
  }
});

test('GNU tar reads what we write', async (t) => {
  await using folder = await temporaryFolder();
  const tar = join(folder.path, 'x.tar');
  const name = `${'d'.repeat(200)}/${bytesFromUtf8('ünï')}`;
  writeFileSync(
    tar,
    await pack(entryOf(name, 'content'), { entry: { type: 'symlink', path: 's', linkPath: 'q'.repeat(120) } }),
  );
  let listed: string;
  try {
    listed = execFileSync('tar', ['-tf', tar, '--quoting-style=literal']).toString();
  } catch (error) {
    t.skip(`GNU tar is not usable here: ${error}`);
    return;
  }
  assert.equal(listed, `${utf8FromBytes(name)}\ns\n`);
  execFileSync('tar', ['-xf', tar, '-C', folder.path]);
  assert.equal(readFileSync(join(folder.path, utf8FromBytes(name))).toString(), 'content');
});

test('names round trip between text and bytes', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => utf8FromBytes(bytesFromUtf8(text)) === text));
});

test('an empty source is an empty archive', async () => {
  for await (const _ of readTar(fromBytes())) assert.fail('no entry expected');
});
