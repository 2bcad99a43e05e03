/** What every BlobStore does. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { digestOf, parseDigest } from '#oci';
import { fromBytes, readAll } from '#streams';
import type { BlobStore } from '../blob-store.ts';

const key = '01234567-89ab-cdef-0123-456789abcdef-0123456789abcdef';

async function* inPieces(bytes: Buffer, sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes);
}

/** `reopen` is the next process on the same store. */
export function testBlobStore(
  name: string,
  open: () => Promise<AsyncDisposable & { store: BlobStore; reopen: () => Promise<BlobStore> }>,
): void {
  test(`${name}: an upload becomes a blob, whole or in part`, async () => {
    await using opened = await open();
    const { store } = opened;
    const digest = digestOf('0123456789');
    assert.equal(await store.stat(digest), undefined);
    const upload = await store.beginUpload(key, 'sha256');
    await upload.append(fromBytes('01234'));
    assert.equal(Buffer.from(await upload.read(3, 100)).toString(), '34', 'readable while it grows');
    assert.equal((await upload.read(5, 100)).byteLength, 0);
    await upload.append(fromBytes('56789'));
    assert.equal(upload.sizeBytes, 10);
    assert.equal(await upload.digest('sha256'), digest);
    await upload.commit(digest);
    assert.equal(await store.stat(digest), 10);
    assert.equal((await readAll(store.open(digest), 100)).toString(), '0123456789');
    assert.equal((await readAll(store.open(digest, { offset: 3, length: 2 }), 100)).toString(), '34');
    assert.equal((await readAll(store.open(digest, { offset: 3, length: 0 }), 100)).length, 0);
  });

  test(`${name}: large uploads at once, in chunks of any size, each asked for its digest on the way`, async () => {
    await using opened = await open();
    const { store } = opened;
    const blobs = Array.from({ length: 4 }, (_, at) => randomBytes((9 << 20) + 7919 * at));
    await Promise.all(
      blobs.map(async (bytes, at) => {
        const upload = await store.beginUpload(`${key}${at}`, 'sha256');
        const half = 4_600_000 + at;
        await upload.append(inPieces(bytes.subarray(0, half), 70_001));
        assert.equal(await upload.digest('sha256'), digestOf(bytes.subarray(0, half)));
        if (at === 3) return await upload.abort();
        await upload.append(inPieces(bytes.subarray(half), 1_500_000));
        await upload.commit(digestOf(bytes));
        assert.ok((await readAll(store.open(digestOf(bytes)), 1 << 24)).equals(bytes));
      }),
    );
  });

  test(`${name}: a wrong digest leaves nothing, another algorithm is no wrong digest`, async () => {
    await using opened = await open();
    const { store } = opened;
    const wrong = await store.beginUpload(key, 'sha256');
    await wrong.append(fromBytes('bytes'));
    await assert.rejects(wrong.commit(digestOf('other')), { kind: 'data-loss' });
    assert.equal(await store.resumeUpload(key, 'sha256'), undefined);
    assert.equal(await store.stat(digestOf('other')), undefined);
    const late = await store.beginUpload(key, 'sha256');
    await late.append(fromBytes('bytes'));
    const digest = parseDigest(`sha512:${createHash('sha512').update('bytes').digest('hex')}`);
    await late.commit(digest);
    assert.equal(await store.stat(digest), 5);
  });

  test(`${name}: what came before a break stays, and outlives the process`, async () => {
    await using opened = await open();
    const upload = await opened.store.beginUpload(key, 'sha256');
    const broken = (async function* () {
      yield Buffer.from('half');
      throw new Error('cut');
    })();
    await assert.rejects(upload.append(broken), /cut/);
    await upload.suspend();
    const store = await opened.reopen();
    const resumed = await store.resumeUpload(key, 'sha256');
    assert.equal(resumed?.sizeBytes, 4);
    await resumed.append(fromBytes(' and half'));
    await resumed.commit(digestOf('half and half'));
    assert.equal(await store.stat(digestOf('half and half')), 13);
  });

  test(`${name}: a large upload goes on in the next process`, async () => {
    await using opened = await open();
    const bytes = randomBytes(12 << 20);
    const upload = await opened.store.beginUpload(key, 'sha256');
    await upload.append(inPieces(bytes.subarray(0, 7 << 20), 70_001));
    await upload.suspend();
    const resumed = await (await opened.reopen()).resumeUpload(key, 'sha256');
    assert.equal(resumed?.sizeBytes, 7 << 20);
    await resumed.append(inPieces(bytes.subarray(7 << 20), 70_001));
    assert.deepEqual(Buffer.from(await resumed.read(7 << 20, 100)), bytes.subarray(7 << 20, (7 << 20) + 100));
    await resumed.commit(digestOf(bytes));
  });

  test(`${name}: an upload that is given up is gone; an old one is swept, a young one is not`, async () => {
    await using opened = await open();
    const { store } = opened;
    await (await store.beginUpload(key, 'sha256')).abort();
    assert.equal(await store.resumeUpload(key, 'sha256'), undefined);
    const left = await store.beginUpload(key, 'sha256');
    await left.append(fromBytes('x'));
    await left.suspend();
    await store.sweepUploads(Date.now() - 60_000);
    await (await store.resumeUpload(key, 'sha256'))?.suspend();
    await store.sweepUploads(Date.now() + 60_000);
    assert.equal(await store.resumeUpload(key, 'sha256'), undefined);
  });

  test(`${name}: blobs are listed and removed; who reads one reads it to its end`, async () => {
    await using opened = await open();
    const { store } = opened;
    const bytes = Buffer.alloc(3 << 20, 'x');
    const upload = await store.beginUpload(key, 'sha256');
    await upload.append(fromBytes(Buffer.from(bytes)));
    const digest = digestOf(bytes);
    await upload.commit(digest);
    const listed = [];
    for await (const blob of store.list()) listed.push([blob.digest, blob.sizeBytes]);
    assert.deepEqual(listed, [[digest, bytes.length]]);
    let readBytes = 0;
    for await (const chunk of store.open(digest)) {
      if (readBytes === 0) assert.equal(await store.remove(digest), true);
      readBytes += chunk.byteLength;
    }
    assert.equal(readBytes, bytes.length);
    assert.equal(await store.remove(digest), false);
    assert.equal(await store.stat(digest), undefined);
  });
}
