import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { packTar } from '#archive';
import { type ErrorKind, isKind } from '#errdefs';
import { digestOf } from '#oci';
import { readAll } from '#streams';
import { temporaryFolder } from '#testing';
import { diffLayers } from './differ.ts';
import { formatDeltaHeader, parseDeltaHeader } from './header.ts';
import { formatLayerList, parseLayerList } from './layer-list.ts';
import { applyPiece, PatchBases } from './patch.ts';
import { decodePiece, encodePiece, maxOutputBytes, type Piece } from './piece.ts';
import { layerPieces, Patcher } from './thread.ts';
import { pushVarint } from './varint.ts';

async function withFiles(
  contents: readonly Buffer[],
  work: (files: { digest: string; path: string; sizeBytes: number }[]) => Promise<void> | void,
): Promise<void> {
  await using folder = await temporaryFolder();
  const files = contents.map((bytes, at) => ({
    digest: digestOf(bytes),
    path: join(folder.path, String(at)),
    sizeBytes: bytes.length,
  }));
  for (const [at, bytes] of contents.entries()) await writeFile(files[at]!.path, bytes);
  await work(files);
}

/** What a delta of `layer` since `bases` takes, after it was seen to give the layer again. */
async function deltaBytes(layer: Buffer, ...bases: readonly Buffer[]): Promise<number> {
  let sizeBytes = 0;
  await withFiles([layer, ...bases], ([file, ...others]) => {
    using here = new PatchBases(others);
    const made: Buffer[] = [];
    for (const { bytes } of diffLayers(others, [file!])) {
      sizeBytes += bytes.length;
      const run = applyPiece(bytes, here);
      assert.equal(
        run.offset,
        made.reduce((sum, part) => sum + part.length, 0),
      );
      made.push(...run.parts);
    }
    assert.ok(Buffer.concat(made).equals(layer), 'the layer comes out as it was');
  });
  return sizeBytes;
}

const tarOf = (files: readonly { path: string; bytes: Buffer; seconds?: number }[]) =>
  readAll(
    packTar(
      files.map(({ path, bytes, seconds = 0 }) => ({
        entry: { type: 'file' as const, path, mode: 0o644, sizeBytes: bytes.length, mtime: { sec: seconds, nsec: 0 } },
        body: bytes,
      })),
    ),
    1 << 30,
  );

test('a layer that is a base takes next to nothing, one without a base all of it', async () => {
  const layer = randomBytes(2 << 20);
  assert.ok((await deltaBytes(layer, layer)) < 200);
  const whole = await deltaBytes(layer);
  assert.ok(whole >= layer.length && whole < layer.length + 2000, String(whole));
  assert.ok((await deltaBytes(Buffer.alloc(40 << 20))) < 10_000, 'zeros are written short');
  assert.ok((await deltaBytes(Buffer.alloc(0), layer)) < 100);
});

/** The same each time: where chunks of random bytes are cut now and then costs more than any limit that is worth asking for. */
const noise = (name: string, sizeBytes: number) =>
  createHash('shake256', { outputLength: sizeBytes }).update(name).digest();

test('bytes that were inserted, removed, moved and changed cost what they are', async () => {
  const base = noise('base', 6 << 20);
  const [a, b, c] = [base.subarray(0, 2 << 20), base.subarray(2 << 20, 4 << 20), base.subarray(4 << 20)];
  const fresh = noise('fresh', 100_000);
  const limit = fresh.length + 40_000;
  assert.ok((await deltaBytes(Buffer.concat([a, fresh, b, c]), base)) < limit, 'inserted');
  assert.ok((await deltaBytes(Buffer.concat([a, c]), base)) < 40_000, 'removed');
  assert.ok((await deltaBytes(Buffer.concat([c, fresh, a, b]), base)) < limit, 'moved');
  const changed = Buffer.from(base);
  for (let at = 0; at < changed.length; at += 60_000) changed[at]! ^= 1;
  assert.ok((await deltaBytes(changed, base)) < 10_000, 'a byte here and there');
  assert.ok((await deltaBytes(Buffer.concat([b, a]), noise('first', 1 << 20), base)) < 60_000, 'of the second base');
});

test('files with new times cost their headers, not their contents', async () => {
  const files = Array.from({ length: 400 }, (_, at) => ({
    path: `src/file-${at}.js`,
    bytes: randomBytes(500 + 37 * at),
  }));
  const before = await tarOf(files.map((file) => ({ ...file, seconds: 1_700_000_000 })));
  const after = await tarOf(files.map((file, at) => ({ ...file, seconds: 1_760_000_000 + at })));
  const moved = await tarOf([...files].reverse().map((file, at) => ({ ...file, seconds: 1_760_000_000 + at })));
  const contents = files.reduce((sum, { bytes }) => sum + bytes.length, 0);
  assert.ok((await deltaBytes(after, before)) < contents / 100, 'in place');
  assert.ok((await deltaBytes(moved, before)) < contents / 50, 'in another order');
});

test('any layer comes out of its delta as it was', async () => {
  const edit = fc.record({ at: fc.nat(200_000), remove: fc.nat(9000), insert: fc.uint8Array({ maxLength: 3000 }) });
  const check = fc.asyncProperty(fc.nat(250_000), fc.array(edit, { maxLength: 12 }), async (sizeBytes, edits) => {
    const base = Buffer.alloc(sizeBytes, randomBytes(1 + (sizeBytes % 40_000)));
    let layer = base;
    for (const { at, remove, insert } of edits)
      layer = Buffer.concat([layer.subarray(0, at), insert, layer.subarray(at + remove)]);
    await deltaBytes(layer, base, randomBytes(3000));
  });
  await fc.assert(check, { numRuns: 40 });
});

test('through the threads', async () => {
  const base = randomBytes(20 << 20);
  const layers = [Buffer.concat([base.subarray(1000), base]), Buffer.alloc(0), Buffer.from('x')];
  await withFiles([base, ...layers], async ([first, ...files]) => {
    const made = layers.map((): Uint8Array[] => []);
    await using patcher = new Patcher([first!]);
    for await (const { layer, bytes } of layerPieces([first!], files))
      made[layer]!.push(...(await patcher.apply(bytes)).parts);
    for (const [at, layer] of layers.entries()) assert.ok(Buffer.concat(made[at]!).equals(layer));
  });
});

const piece: Piece = {
  offset: 0,
  outputBytes: 3,
  crc32: 0x352441c2,
  ops: [{ kind: 'data', bytes: Buffer.from('abc') }],
};

function refused(bytes: Buffer, message: RegExp, kind: ErrorKind = 'invalid-argument'): void {
  using bases = new PatchBases([{ digest: 'sha256:base', path: undefined, sizeBytes: 1000 }]);
  assert.throws(
    () => applyPiece(bytes, bases),
    (error: Error) => isKind(error, kind) && (message.test(error.message) || assert.fail(error.message)),
  );
}

test('a piece is read as it was written', () => {
  assert.deepEqual(decodePiece(encodePiece(piece), []), piece);
  const far = 2 ** 45;
  const copy = (offset: number) => ({ kind: 'copy' as const, base: 1, offset, lengthBytes: 2 ** 20 });
  const long = { offset: far, outputBytes: 3 * 2 ** 20, crc32: 0, ops: [copy(far), copy(7), copy(far + 3)] };
  assert.deepEqual(decodePiece(encodePiece(long), [0, 2 * far]), long);
});

test('hostile pieces are refused, without room for what they promise', () => {
  const raw = (...values: readonly number[]) => {
    const bytes: number[] = [];
    for (const value of values) pushVarint(bytes, value);
    return bytes;
  };
  const of = (head: readonly number[], ...ops: readonly number[]) =>
    zstdCompressSync(Buffer.from([...raw(...head), 0, 0, 0, 0, ...raw(...ops)]));
  refused(Buffer.from('no zstd'), /does not inflate/);
  refused(zstdCompressSync(Buffer.alloc(1 << 28)), /does not inflate/);
  refused(of([0, 2 ** 52]), /would make 4503599627370496 bytes/);
  refused(of([0, maxOutputBytes], 2 * maxOutputBytes), /ends within its data/);
  refused(of([0, 100], 0), /other than it says/);
  refused(of([0, 100]), /other than it says/);
  refused(of([0, 10], 2 * 11 + 1, 0, 0), /other than it says/);
  refused(of([0, 10], 2 * 10 + 1, 1, 0), /there is no base 1/);
  refused(of([0, 10], 2 * 10 + 1, 0, 2 * 991), /reaches beyond base 0/);
  refused(of([0, 10], 2 * 10 + 1, 0, 1), /reaches beyond base 0/);
  refused(of([0, 10], 2 * 10 + 1, 0, 0), /copies from, is not here/, 'not-found');
  refused(zstdCompressSync(Buffer.alloc(20, 0xff)), /a number is too large/);
  refused(encodePiece({ ...piece, crc32: 1 }), /its 3 bytes at 0 come out wrong$/, 'data-loss');
});

test('a base that has changed is told by name', async () => {
  const base = randomBytes(1 << 20);
  await withFiles([base, Buffer.concat([base, base])], async ([first, layer]) => {
    const [made] = [...diffLayers([first!], [layer!])];
    const damaged = Buffer.from(base);
    damaged[70_000]! ^= 1;
    await writeFile(first!.path, damaged);
    using bases = new PatchBases([first!]);
    assert.throws(() => applyPiece(made!.bytes, bases), new RegExp(`come out wrong; it copies from ${first!.digest}`));
  });
});

test('headers and lists: what is written is read, anything else is refused', () => {
  const layer = { digest: digestOf('a'), sizeBytes: 7 };
  const header = { since: ['app:1'], requires: [layer], bases: [layer, layer], layers: [] };
  assert.deepEqual(parseDeltaHeader(Buffer.from(formatDeltaHeader(header))), header);
  const bad = (text: string, message: RegExp, kind: ErrorKind = 'invalid-argument') =>
    assert.throws(
      () => parseDeltaHeader(Buffer.from(text)),
      (error: Error) => isKind(error, kind) && (message.test(error.message) || assert.fail(error.message)),
    );
  const with_ = (change: object) =>
    JSON.stringify({ version: 1, since: [], requires: [], bases: [], layers: [], ...change });
  bad('{', /no JSON/);
  bad('[]', /not an object/);
  bad(with_({ version: 2 }), /version 2 of the format, want 1/, 'not-implemented');
  bad(with_({ since: [1] }), /since/);
  bad(with_({ bases: {} }), /bases is not a list/);
  bad(with_({ layers: [{ digest: layer.digest, size: -1 }] }), /an item of layers/);
  bad(with_({ layers: [{ digest: '../../etc', size: 1 }] }), /an item of layers/);
  bad(with_({ bases: Array.from({ length: 10_001 }, () => layer) }), /more than 10000/);

  const list = [layer, { digest: digestOf('b'), sizeBytes: 0 }];
  assert.deepEqual(new Set(parseLayerList(formatLayerList([...list, layer]))), new Set(list));
  assert.throws(() => parseLayerList('busybox\n'), /its first line is not "wherry-digests 1"/);
  assert.throws(() => parseLayerList(`wherry-digests 1\n${layer.digest}\n`), /line 2 is not a digest and a size/);
});
