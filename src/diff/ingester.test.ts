import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { endOfArchive, type PackEntry, packHeader, packPadding, packTar } from '#archive';
import { openContentStore } from '#content';
import { IndexFile } from '#erofs';
import { type ErrorKind, isKind } from '#errdefs';
import { type DiffID, digestHex, digestOf } from '#oci';
import { type ByteSource, type Part, PartedSource, readAll } from '#streams';
import { temporaryFolder } from '#testing';
import { createLayerIngester, type LayerIngester, type LayerIngesterOptions } from './index.ts';

const file = (path: string, content: string | Buffer): { entry: PackEntry; body: Buffer } => {
  const body = Buffer.from(content);
  return { entry: { type: 'file', path, mode: 0o644, sizeBytes: body.length }, body };
};

async function* cut(bytes: Buffer, sizeBytes = 70_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes);
}

const layer = await readAll(
  packTar([
    file('a', 'first'),
    file('big', Buffer.concat([randomBytes(3_000_000), Buffer.alloc(9_000_000)])),
    { entry: { type: 'directory', path: 'd', mode: 0o700 } },
    file('d/b', 'second'),
  ]),
  1 << 26,
);
const diffID = digestOf(layer) as DiffID;

/** A store, an ingester over it, and a look at what they leave. */
class Bench implements AsyncDisposable {
  readonly ingester: LayerIngester;
  readonly root: string;
  readonly #folder: AsyncDisposable;
  readonly #store: Partial<AsyncDisposable>;

  private constructor(
    folder: AsyncDisposable & { path: string },
    store: LayerIngesterOptions['content'],
    more: Partial<LayerIngesterOptions>,
  ) {
    this.#folder = folder;
    this.#store = store as Partial<AsyncDisposable>;
    this.root = folder.path;
    this.ingester = createLayerIngester({
      content: store,
      index: { path: (id) => this.indexPath(id) },
      ...more,
    });
  }

  static async open(more: Partial<LayerIngesterOptions> = {}): Promise<Bench> {
    const folder = await temporaryFolder();
    return new Bench(folder, await openContentStore({ root: join(folder.path, 'content') }), more);
  }

  indexPath(id: DiffID): string {
    return join(this.root, 'layers', `${digestHex(id)}.erofs`);
  }

  files(): string[] {
    return readdirSync(this.root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.root.length + 1))
      .sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ingester[Symbol.asyncDispose]();
    await this.#store[Symbol.asyncDispose]?.();
    await this.#folder[Symbol.asyncDispose]();
  }
}

test('plain, gzip and zstd layers arrive under their diff ID with an index', async () => {
  await using bench = await Bench.open();
  const forms = { none: layer, gzip: gzipSync(layer), zstd: zstdCompressSync(layer) };
  for (const [compression, bytes] of Object.entries(forms)) {
    const progress: [number, number][] = [];
    const got = await bench.ingester.ingest(cut(bytes), {
      expected: { digest: digestOf(bytes), compressedBytes: bytes.length, diffID },
      onProgress: (read, written) => progress.push([read, written]),
    });
    assert.deepEqual(got, {
      diffID,
      sizeBytes: layer.length,
      digest: digestOf(bytes),
      compressedBytes: bytes.length,
      compression,
      standsAlone: true,
    });
    assert.equal(progress.at(-1)![0], bytes.length);
  }
  const hex = digestHex(diffID);
  assert.deepEqual(bench.files(), [`content/blobs/sha256/${hex}`, `layers/${hex}.erofs`]);
  assert.equal(readFileSync(join(bench.root, `content/blobs/sha256/${hex}`)).equals(layer), true);
  using index = IndexFile.open(bench.indexPath(diffID));
  assert.deepEqual(
    [...index.walk()].map(({ path }) => path),
    ['', 'a', 'big', 'd', 'd/b'],
  );
  assert.equal(index.devices[0]!.tag, hex);
  assert.equal(index.devices[0]!.sizeBytes, layer.length);
});

test('sha512 is honoured where it is expected', async () => {
  await using bench = await Bench.open();
  const gzip = gzipSync(layer);
  const want = { digest: digestOf(gzip, 'sha512'), diffID: digestOf(layer, 'sha512') as DiffID };
  const got = await bench.ingester.ingest(cut(gzip), { expected: want });
  assert.deepEqual([got.digest, got.diffID], [want.digest, want.diffID]);
  const plain = await bench.ingester.ingest(cut(layer), { expected: { digest: digestOf(layer, 'sha512') } });
  assert.equal(plain.diffID, diffID);
});

test('a layer that leans on others is kept without an index of its own', async () => {
  await using bench = await Bench.open();
  const implied = await readAll(packTar([file('tmp/x', 'x')]), 1 << 20);
  const linked = await readAll(packTar([{ entry: { type: 'hardlink', path: 'l', linkPath: 'elsewhere' } }]), 1 << 20);
  const opaque = await readAll(packTar([file('.wh..wh..opq', ''), file('x', 'x')]), 1 << 20);
  for (const bytes of [implied, linked, opaque]) {
    const got = await bench.ingester.ingest(cut(bytes));
    assert.equal(got.standsAlone, false);
    assert.equal(existsSync(bench.indexPath(got.diffID)), false);
    assert.equal(existsSync(join(bench.root, 'content/blobs/sha256', digestHex(got.diffID))), true);
  }
});

test('an empty layer is a layer', async () => {
  await using bench = await Bench.open();
  const got = await bench.ingester.ingest(cut(Buffer.alloc(1024)));
  assert.deepEqual([got.sizeBytes, got.compression, got.standsAlone], [1024, 'none', true]);
  assert.equal((await bench.ingester.ingest(cut(Buffer.alloc(0)))).diffID, digestOf(''));
});

async function* failing(): ByteSource {
  yield layer.subarray(0, 5_000_000);
  throw new TypeError('connection reset');
}

test('whatever goes wrong is told, leaves nothing, and the next layer works', async () => {
  await using bench = await Bench.open();
  const gzip = gzipSync(layer);
  const broken = Buffer.from(gzip);
  broken.fill(0xaa, 1_000_000, 1_000_100);
  const corruptTar = Buffer.from(layer);
  corruptTar[0] = 0x7a;
  const climbing = await readAll(packTar([file('../x', 'x')]), 1 << 20);
  const wrong = digestOf('other');
  const cases: [string, ErrorKind, ByteSource, Parameters<LayerIngester['ingest']>[1]?][] = [
    ['wrong digest', 'data-loss', cut(gzip), { expected: { digest: wrong } }],
    ['wrong diff ID', 'data-loss', cut(gzip), { expected: { diffID: wrong as DiffID } }],
    ['too long', 'data-loss', cut(gzip), { expected: { compressedBytes: 1000 } }],
    ['too short', 'data-loss', cut(gzip), { expected: { compressedBytes: gzip.length + 1 } }],
    ['truncated gzip', 'invalid-argument', cut(gzip.subarray(0, gzip.length - 100))],
    ['truncated gzip, exactly at the trailer', 'invalid-argument', cut(gzip.subarray(0, gzip.length - 8))],
    ['broken gzip', 'invalid-argument', cut(broken)],
    ['rubbish after gzip', 'invalid-argument', cut(Buffer.concat([gzip, Buffer.from('rubbish'.repeat(300_000))]))],
    ['rubbish right after gzip', 'invalid-argument', cut(Buffer.concat([gzip, Buffer.from('rub')]), 1 << 26)],
    ['truncated tar', 'invalid-argument', cut(layer.subarray(0, 2_000_000))],
    ['corrupt tar', 'invalid-argument', cut(corruptTar)],
    ['not a tar', 'invalid-argument', cut(randomBytes(3_000_000))],
    ['not a tar inside gzip', 'invalid-argument', cut(gzipSync(randomBytes(3_000_000)))],
    ['escaping path', 'invalid-argument', cut(climbing)],
    ['escaping path inside zstd', 'invalid-argument', cut(zstdCompressSync(climbing))],
    ['xz', 'not-implemented', cut(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 0]))],
    ['failing source', 'unknown', failing()],
  ];
  for (const [name, kind, source, options] of cases) {
    await assert.rejects(bench.ingester.ingest(source, options), (error) => isKind(error, kind), name);
    assert.deepEqual(bench.files(), [], name);
  }
  assert.equal((await bench.ingester.ingest(cut(gzip))).diffID, diffID);
});

test('zeros after gzip and anything after zstd are hashed and passed over, as dockerd does', async () => {
  await using bench = await Bench.open();
  for (const length of [3, 3_000_000]) {
    for (const bytes of [
      Buffer.concat([gzipSync(layer), Buffer.alloc(length)]),
      Buffer.concat([zstdCompressSync(layer), Buffer.alloc(length, 'rubbish')]),
    ]) {
      const got = await bench.ingester.ingest(cut(bytes), { expected: { digest: digestOf(bytes), diffID } });
      assert.equal(got.compressedBytes, bytes.length);
    }
  }
});

test('bombs are stopped by the limits that are set', async () => {
  const bomb = gzipSync(await readAll(packTar([file('zeros', Buffer.alloc(40 << 20))]), 1 << 27));
  for (const limits of [{ maxLayerBytes: 30 << 20 }, { maxExpansion: 100 }, { reserveBytes: 2 ** 50 }]) {
    await using bench = await Bench.open({ limits });
    await assert.rejects(bench.ingester.ingest(cut(bomb)), (error) => isKind(error, 'out-of-range'));
    assert.deepEqual(bench.files(), []);
  }
  await using bench = await Bench.open();
  assert.equal((await bench.ingester.ingest(cut(bomb))).compression, 'gzip');
});

test('an abort ends a hanging source with its reason, and leaves nothing', async () => {
  await using bench = await Bench.open();
  const controller = new AbortController();
  let released = false;
  async function* hanging(): ByteSource {
    try {
      yield layer.subarray(0, 4_000_000);
      await new Promise((resolve) => controller.signal.addEventListener('abort', resolve));
    } finally {
      released = true;
    }
  }
  setTimeout(() => controller.abort(new RangeError('enough')), 50);
  await assert.rejects(bench.ingester.ingest(hanging(), { signal: controller.signal }), /enough/);
  assert.deepEqual(bench.files(), []);
  assert.equal(released, true);
  await assert.rejects(bench.ingester.ingest(cut(layer), { signal: controller.signal }), /enough/);
});

test('layers run side by side; disposing ends what runs', async () => {
  const bench = await Bench.open({ maxThreads: 2 });
  const layers = await Promise.all(
    Array.from({ length: 5 }, async (_, i) => readAll(packTar([file(`f${i}`, randomBytes(500_000 + i))]), 1 << 24)),
  );
  const got = await Promise.all(layers.map((bytes) => bench.ingester.ingest(cut(gzipSync(bytes)))));
  assert.deepEqual(
    got.map((one) => digestHex(one.diffID)),
    layers.map((bytes) => createHash('sha256').update(bytes).digest('hex')),
  );
  async function* endless(): ByteSource {
    yield layer.subarray(0, 1024);
    await new Promise(() => {});
  }
  const running = bench.ingester.ingest(endless());
  const ended = assert.rejects(running, (error) => isKind(error, 'canceled'));
  await bench[Symbol.asyncDispose]();
  await ended;
});

test('the name is told before the store has the bytes; where it cannot be held, nothing stays', async () => {
  await using bench = await Bench.open();
  const told: string[] = [];
  const onNamed = async (name: DiffID) => {
    told.push(`${name} ${bench.files().some((path) => path.endsWith(digestHex(name)))}`);
    if (told.length === 1) throw new Error('no room for a lease');
  };
  await assert.rejects(bench.ingester.ingest(cut(layer), { onNamed }), /no room for a lease/);
  assert.deepEqual(bench.files(), []);
  await bench.ingester.ingest(cut(layer), { onNamed });
  assert.deepEqual(told, [`${diffID} false`, `${diffID} false`]);
  assert.equal(bench.files().length, 2);
});

test('an index is written once', async () => {
  await using bench = await Bench.open();
  await bench.ingester.ingest(cut(layer));
  const first = readFileSync(bench.indexPath(diffID));
  await bench.ingester.ingest(cut(layer));
  assert.deepEqual(readFileSync(bench.indexPath(diffID)), first);
  assert.equal(bench.files().length, 2);
});

test('bytes that lie in files come like any others, in their places', async () => {
  await using bench = await Bench.open();
  const path = join(bench.root, 'data');
  const contents = Array.from({ length: 400 }, (_, number) => randomBytes((number * 97) % 20_011));
  contents.push(randomBytes((5 << 20) + 3), randomBytes(1 << 20), Buffer.alloc(0), randomBytes(1));
  writeFileSync(path, Buffer.concat(contents));
  for (const staysOpen of [true, undefined] as const) {
    const fd = openSync(path, 'r');
    let closed = false;
    const whole: Buffer[] = [];
    async function* parts(): AsyncGenerator<Part> {
      let offset = 0;
      for (const [number, content] of contents.entries()) {
        const header = packHeader({ type: 'file', path: `f${number}`, sizeBytes: content.length });
        whole.push(header, content, Buffer.from(packPadding(content.length)));
        yield header;
        const part = { fd, offset, lengthBytes: content.length };
        yield staysOpen ? { ...part, staysOpen } : part;
        yield packPadding(content.length);
        offset += content.length;
      }
      whole.push(Buffer.from(endOfArchive));
      yield endOfArchive;
      if (!staysOpen) closeSync(fd);
      closed = !staysOpen;
    }
    const got = await bench.ingester.ingest(new PartedSource(parts()));
    if (!closed) closeSync(fd);
    const tar = Buffer.concat(whole);
    assert.equal(got.diffID, digestOf(tar));
    assert.ok(readFileSync(join(bench.root, `content/blobs/sha256/${digestHex(got.diffID)}`)).equals(tar));
  }
});

test('memory that threads share is read where it lies, before its lender fills it anew', async () => {
  await using bench = await Bench.open();
  const block = Buffer.from(new SharedArrayBuffer(1 << 20));
  // Whole blocks, and what is small enough to be copied, in turns.
  async function* lent(bytes: Buffer): AsyncGenerator<Uint8Array> {
    for (let at = 0, turn = 0; at < bytes.length; turn++) {
      const copied = bytes.copy(block, 0, at, at + (turn % 3 === 1 ? 70_000 : block.length));
      at += copied;
      yield block.subarray(0, copied);
      block.fill(0xff);
    }
  }
  for (const bytes of [layer, gzipSync(layer), zstdCompressSync(layer)])
    assert.equal((await bench.ingester.ingest(lent(bytes))).diffID, diffID);
});

test('a file that is shorter than what was said of it fails the layer', async () => {
  await using bench = await Bench.open();
  const path = join(bench.root, 'data');
  writeFileSync(path, Buffer.alloc(100));
  const fd = openSync(path, 'r');
  async function* parts(): AsyncGenerator<Part> {
    yield packHeader({ type: 'file', path: 'f', sizeBytes: 200 });
    yield { fd, offset: 0, lengthBytes: 200, staysOpen: true };
  }
  await assert.rejects(bench.ingester.ingest(new PartedSource(parts())), { kind: 'data-loss' });
  closeSync(fd);
  assert.deepEqual(bench.files(), ['data']);
});
