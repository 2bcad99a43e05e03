import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { isKind } from '#errdefs';
import type { Digest } from '#oci';
import { readAll } from '#streams';
import type { ContentStore } from './types.ts';

/** A fresh store for one test; `reopen` closes it and opens the same folder as the next process would. */
export interface ContentFixture extends AsyncDisposable {
  readonly store: ContentStore;
  reopen(): Promise<ContentStore>;
}

const limitBytes = 64 << 20;

function digest(bytes: Uint8Array, algorithm: 'sha256' | 'sha512' = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest;
}

async function listed(store: ContentStore): Promise<string[]> {
  const found: string[] = [];
  for await (const blob of store.list()) found.push(`${blob.digest} ${blob.sizeBytes}`);
  return found.sort();
}

/** What every content store must do. */
export function contentStoreSuite(name: string, open: () => Promise<ContentFixture>): void {
  const check = (what: string, body: (store: ContentStore, fixture: ContentFixture) => Promise<void>) =>
    test(`${name}: ${what}`, async () => {
      await using fixture = await open();
      await body(fixture.store, fixture);
    });

  for (const algorithm of ['sha256', 'sha512'] as const) {
    check(`put and read back by ${algorithm}`, async (store) => {
      const bytes = randomBytes(3000);
      const expected = digest(bytes, algorithm);
      assert.deepEqual(await store.put(bytes, expected), { digest: expected, sizeBytes: 3000 });
      await store.put(bytes, expected);
      assert.deepEqual(await readAll(store.open(expected), limitBytes), bytes);
      assert.deepEqual(await store.stat(expected), { digest: expected, sizeBytes: 3000 });
      assert.deepEqual(await listed(store), [`${expected} 3000`]);
    });
  }

  check('put refuses bytes of another digest', async (store) => {
    await assert.rejects(store.put(Buffer.from('b'), digest(Buffer.from('a'))), (error) => isKind(error, 'data-loss'));
    assert.deepEqual(await listed(store), []);
    assert.deepEqual(await store.ingests(), []);
  });

  check('ranges', async (store) => {
    const bytes = randomBytes((2 << 20) + 17);
    const blob = await store.put(bytes);
    const ranges = [
      [0, 1],
      [5, 100],
      [(1 << 20) - 3, 9],
      [bytes.length - 2, 10],
      [bytes.length, 5],
      [7, 0],
    ] as const;
    for (const [offset, length] of ranges) {
      const read = await readAll(store.open(blob.digest, { offset, length }), limitBytes);
      assert.deepEqual(read, bytes.subarray(offset, offset + length), `${offset}+${length}`);
    }
    assert.deepEqual(await readAll(store.open(blob.digest, { offset: 9 }), limitBytes), bytes.subarray(9));
    await assert.rejects(readAll(store.open(blob.digest, { offset: bytes.length + 1 }), limitBytes), (error) =>
      isKind(error, 'out-of-range'),
    );
  });

  check('absent blobs', async (store) => {
    const absent = digest(Buffer.from('absent'));
    assert.equal(await store.stat(absent), undefined);
    await assert.rejects(readAll(store.open(absent), limitBytes), (error) => isKind(error, 'not-found'));
    await store.delete(absent);
  });

  check('a writer verifies digest and size, and leaves nothing when wrong', async (store) => {
    const bytes = Buffer.from('the right bytes');
    for (const expected of [{ digest: digest(Buffer.from('other')) }, { sizeBytes: 3 }, { sizeBytes: 300 }]) {
      const writer = await store.writer({ key: 'k' });
      await writer.write(bytes);
      await assert.rejects(writer.commit(expected), (error) => isKind(error, 'data-loss'));
      await writer[Symbol.asyncDispose]();
      assert.deepEqual(await store.ingests(), []);
    }
    assert.deepEqual(await listed(store), []);
  });

  check('a writer stops at the size it was told', async (store) => {
    await using writer = await store.writer({ key: 'k', expected: { sizeBytes: 4 } });
    await writer.write(Buffer.from('1234'));
    await assert.rejects(writer.write(Buffer.from('5')), (error) => isKind(error, 'data-loss'));
    assert.deepEqual(await store.ingests(), []);
  });

  check('a broken-off writer is resumed, also by the next process', async (store, fixture) => {
    const bytes = randomBytes(3 << 20);
    const expected = { digest: digest(bytes, 'sha512'), sizeBytes: bytes.length };
    {
      await using first = await store.writer({ key: 'download', expected });
      assert.equal(first.offset, 0);
      await first.write(bytes.subarray(0, 2_000_000));
    }
    assert.equal((await store.ingests())[0]?.sizeBytes, 2_000_000);
    const next = await fixture.reopen();
    await using second = await next.writer({ key: 'download', expected });
    assert.equal(second.offset, 2_000_000);
    await second.write(bytes.subarray(second.offset));
    assert.deepEqual(await second.commit(), expected);
    assert.deepEqual(await readAll(next.open(expected.digest), limitBytes), bytes);
    assert.deepEqual(await next.ingests(), []);
  });

  check('truncate starts again, abort forgets', async (store) => {
    const bytes = Buffer.from('second try');
    await using writer = await store.writer({ key: 'k' });
    await writer.write(Buffer.from('a false start'));
    await writer.truncate();
    assert.equal(writer.offset, 0);
    await writer.write(bytes);
    assert.equal((await writer.commit({ digest: digest(bytes) })).sizeBytes, bytes.length);
    const other = await store.writer({ key: 'k' });
    assert.equal(other.offset, 0);
    await other.write(bytes);
    await other.abort();
    assert.deepEqual(await store.ingests(), []);
    await assert.rejects(other.write(bytes), (error) => isKind(error, 'failed-precondition'));
  });

  check('a digest in another algorithm may come as late as commit', async (store) => {
    const bytes = randomBytes(100_000);
    await using writer = await store.writer({ key: 'k' });
    await writer.write(bytes);
    const late = digest(bytes, 'sha512');
    assert.equal((await writer.commit({ digest: late })).digest, late);
  });

  check('one writer per key at a time', async (store) => {
    const first = await store.writer({ key: 'k' });
    const waiting = store.writer({ key: 'k' });
    const raced = await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 20, 'waits'))]);
    assert.equal(raced, 'waits');
    await first.abort();
    await (await waiting).abort();
    const held = await store.writer({ key: 'k' });
    const signal = AbortSignal.timeout(10);
    await assert.rejects(store.writer({ key: 'k', signal }), (error) => isKind(error, 'deadline-exceeded'));
    await held.abort();
  });

  check(
    'a part becomes a blob, or stays for another try, but not when it is less than was said',
    async (store, fixture) => {
      const bytes = randomBytes(3 << 20);
      const blob = { digest: digest(bytes), sizeBytes: bytes.length };
      {
        await using part = await store.partial('k', { isNeeded: true });
        await part.append(bytes.subarray(0, 2_000_000));
        await assert.rejects(part.adopt(blob), (error) => isKind(error, 'data-loss'));
      }
      const next = await fixture.reopen();
      await using part = await next.partial('k', { isNeeded: true });
      assert.equal(part.sizeBytes, 2_000_000);
      await part.append(bytes.subarray(part.sizeBytes));
      await part.adopt(blob);
      assert.deepEqual(await readAll(next.open(blob.digest), limitBytes), bytes);
      assert.deepEqual(await next.ingests(), []);
      await using again = await next.partial('k', { isNeeded: true });
      assert.equal(again.sizeBytes, 0);
    },
  );

  check(
    'a draft becomes a blob, and what a crash leaves of one is gone with the next start',
    async (store, fixture) => {
      const bytes = randomBytes(1_500_000);
      const blob = { digest: digest(bytes), sizeBytes: bytes.length };
      const draft = await store.draft();
      await draft.append(bytes);
      await draft.adopt(blob);
      assert.deepEqual(await readAll(store.open(blob.digest), limitBytes), bytes);
      const dropped = await store.draft();
      await dropped.append(bytes);
      await dropped.remove();
      assert.deepEqual(await store.ingests(), []);
      const left = await store.draft();
      await left.append(bytes);
      assert.equal((await store.ingests()).length, 1);
      assert.deepEqual(await (await fixture.reopen()).ingests(), []);
      await left.remove();
    },
  );

  check('staged files are adopted or forgotten', async (store, fixture) => {
    const bytes = randomBytes(500);
    const blob = { digest: digest(bytes), sizeBytes: 500 };
    {
      await using staged = await store.stage();
      await writeFile(staged.path, bytes);
      await staged.adopt(blob);
    }
    assert.deepEqual(await readAll(store.open(blob.digest), limitBytes), bytes);
    {
      await using again = await store.stage();
      await writeFile(again.path, bytes);
      await again.adopt(blob);
      await using dropped = await store.stage();
      await writeFile(dropped.path, 'x');
    }
    assert.deepEqual(await store.ingests(), []);
    const crashed = await store.stage();
    await writeFile(crashed.path, 'left by a crash');
    assert.deepEqual(await (await fixture.reopen()).ingests(), []);
  });

  check('delete spares what was stored since the collector decided', async (store) => {
    const bytes = Buffer.from('wanted again');
    const blob = await store.put(bytes);
    const storedBefore = performance.now();
    await store.put(bytes);
    await store.delete(blob.digest, { storedBefore });
    assert.ok(await store.stat(blob.digest));
    await store.delete(blob.digest, { storedBefore: performance.now() + 1 });
    assert.equal(await store.stat(blob.digest), undefined);
  });

  check('a reader may leave early, and many may read at once', async (store) => {
    const blob = await store.put(randomBytes(4 << 20));
    for await (const chunk of store.open(blob.digest)) {
      assert.ok(chunk.byteLength > 0);
      break;
    }
    const sizes = await Promise.all(
      Array.from({ length: 40 }, async () => (await readAll(store.open(blob.digest, { length: 9 }), 10)).length),
    );
    assert.deepEqual(new Set(sizes), new Set([9]));
  });
}
