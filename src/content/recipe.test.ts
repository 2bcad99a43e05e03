import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { isKind } from '#errdefs';
import type { Digest } from '#oci';
import { readAll } from '#streams';
import { temporaryFolder } from '#testing';
import { encodeRecipe, openContentStore, Recipe, recipePath, type Segment, StoredBlob } from './index.ts';

/** Cuts in a blob: at each bytes that stay, then bytes that are elsewhere, in a blob or in the recipe. */
const cuts = fc.array(
  fc.record({ stay: fc.nat({ max: 3000 }), away: fc.integer({ min: 1, max: 6000 }), isLiteral: fc.boolean() }),
  { minLength: 1, maxLength: 12 },
);
const ranges = fc.array(fc.tuple(fc.nat({ max: 60_000 }), fc.nat({ max: 20_000 })), { maxLength: 12 });

/** A blob's bytes with zeros where others have them, those others, and the recipe that says so. */
function apart(parts: readonly { stay: number; away: number; isLiteral: boolean }[], source: Digest) {
  const whole = randomBytes(parts.reduce((sum, { stay, away }) => sum + stay + away, 100));
  const own = Buffer.from(whole);
  const donor: Buffer[] = [];
  const literals: Buffer[] = [];
  const segments: Segment[] = [];
  let at = 0;
  for (const { stay, away, isLiteral } of parts) {
    const offset = at + stay;
    const store = isLiteral ? literals : donor;
    store.push(randomBytes(7));
    const sourceOffset = Buffer.concat(store).length;
    store.push(whole.subarray(offset, offset + away));
    segments.push({ offset, lengthBytes: away, source: isLiteral ? undefined : source, sourceOffset });
    own.fill(0, offset, offset + away);
    at = offset + away;
  }
  return { whole, own, donor: Buffer.concat(donor), recipe: new Recipe(segments, Buffer.concat(literals)) };
}

test('a blob with a recipe reads as the bytes it stands for, whole and in any range, by either way', async () => {
  await using folder = await temporaryFolder();
  await using content = await openContentStore({ root: join(folder.path, 'content') });
  const [digest, source] = ['a', 'b'].map((hex) => `sha256:${hex.repeat(64)}` as Digest) as [Digest, Digest];
  await mkdir(dirname(recipePath(content.path(digest))), { recursive: true });
  await fc.assert(
    fc.asyncProperty(cuts, ranges, async (parts, wanted) => {
      const { whole, own, donor, recipe } = apart(parts, source);
      await writeFile(content.path(digest), own);
      await writeFile(content.path(source), donor);
      await writeFile(recipePath(content.path(digest)), encodeRecipe(recipe));
      using blob = StoredBlob.open(content.path(digest));
      assert.equal(blob.sizeBytes, whole.length);
      assert.deepEqual(blob.recipe?.segments, recipe.segments);
      assert.deepEqual(await readAll(content.open(digest), 1 << 20), whole);
      // What a crash leaves between the recipe and the file: a file that has more than it must.
      const half = Buffer.concat([whole.subarray(0, whole.length >> 1), own.subarray(whole.length >> 1)]);
      for (const fuller of [whole, half]) {
        await writeFile(content.path(digest), fuller);
        assert.deepEqual(await readAll(content.open(digest), 1 << 20), whole);
      }
      await writeFile(content.path(digest), own);
      for (const [offset, length] of [[0, whole.length] as const, ...wanted]) {
        const expected = whole.subarray(offset, offset + length);
        const target = Buffer.alloc(length);
        assert.equal(blob.read(target, offset), expected.length);
        assert.deepEqual(target.subarray(0, expected.length), expected);
        if (offset > whole.length) continue;
        assert.deepEqual(await readAll(content.open(digest, { offset, length }), 1 << 20), expected);
      }
    }),
    { numRuns: 100 },
  );
});

test('a recipe that is damaged, or that names a blob which is gone, is said; no zeros are read', async () => {
  await using folder = await temporaryFolder();
  await using content = await openContentStore({ root: join(folder.path, 'content') });
  const [digest, source] = ['a', 'b'].map((hex) => `sha256:${hex.repeat(64)}` as Digest) as [Digest, Digest];
  const { own, donor, recipe } = apart([{ stay: 10, away: 5000, isLiteral: false }], source);
  const path = recipePath(content.path(digest));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(content.path(digest), own);
  await writeFile(content.path(source), donor);
  const bytes = encodeRecipe(recipe);
  bytes[bytes.length >> 1]! ^= 1;
  await writeFile(path, bytes);
  assert.throws(() => StoredBlob.open(content.path(digest)), /its recipe is damaged/);
  await assert.rejects(readAll(content.open(digest), 1 << 20), (error) => isKind(error, 'data-loss'));
  await writeFile(path, encodeRecipe(recipe));
  await rm(content.path(source));
  assert.throws(() => StoredBlob.open(content.path(digest)), /ENOENT/);
  await assert.rejects(readAll(content.open(digest), 1 << 20), (error) => isKind(error, 'not-found'));
});
