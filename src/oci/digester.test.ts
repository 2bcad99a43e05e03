import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { createDigester, updateBoth } from './digester.ts';
import { fastSha256 } from './fast-sha256.ts';

/** Around what a block holds, and what many do. */
const chunk = fc.oneof(
  fc.uint8Array({ maxLength: 130 }),
  fc
    .tuple(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 0, max: 255 }))
    .map(([length, salt]) => Uint8Array.from({ length }, (_, at) => (at * at * 31 + salt) & 255)),
);

const hexOf = (algorithm: string, chunks: readonly Uint8Array[]) =>
  `${algorithm}:${createHash(algorithm).update(Buffer.concat(chunks)).digest('hex')}`;

for (const algorithm of ['sha256', 'sha512'] as const)
  test(`${algorithm} of whatever comes, however it is cut`, () => {
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 8 }), (chunks) => {
        const digester = createDigester(algorithm);
        for (const bytes of chunks) digester.update(bytes);
        assert.equal(
          digester.sizeBytes,
          chunks.reduce((sum, { length }) => sum + length, 0),
        );
        assert.equal(digester.digest(), hexOf(algorithm, chunks));
      }),
    );
  });

test('every length up to some blocks, and memory that threads share', () => {
  const bytes = Buffer.from(new SharedArrayBuffer(520));
  for (let at = 0; at < bytes.length; at++) bytes[at] = at * 7;
  for (let length = 0; length <= bytes.length; length++) {
    const digester = createDigester();
    digester.update(bytes.subarray(bytes.length - length));
    assert.equal(digester.digest(), hexOf('sha256', [bytes.subarray(bytes.length - length)]));
  }
});

for (const algorithm of ['sha256', 'sha512'] as const)
  test(`${algorithm}: a copy and what it was copied from go on by themselves`, () => {
    const digester = createDigester(algorithm);
    digester.update(Buffer.from('one'));
    const copy = digester.copy();
    digester.update(Buffer.from('two'));
    assert.equal(copy.sizeBytes, 3);
    assert.equal(copy.digest(), hexOf(algorithm, [Buffer.from('one')]));
    assert.equal(digester.digest(), hexOf(algorithm, [Buffer.from('onetwo')]));
  });

for (const algorithm of ['sha256', 'sha512'] as const)
  test(`${algorithm} of two at once, however both are cut`, () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(chunk, chunk), { maxLength: 8 }), (pairs) => {
        const [first, second] = [createDigester('sha256'), createDigester(algorithm)];
        for (const [one, other] of pairs) updateBoth(first, one, second, other);
        const [ones, others] = [pairs.map(([one]) => one), pairs.map(([, other]) => other)];
        assert.equal(second.sizeBytes, Buffer.concat(others).length);
        assert.equal(first.digest(), hexOf('sha256', ones));
        assert.equal(second.digest(), hexOf(algorithm, others));
      }),
    );
  });

test('a digest is asked for once', () => {
  const digester = createDigester();
  digester.digest();
  assert.throws(() => digester.update(Buffer.of(1)));
});

test('the addon refuses what is no state of its own', (t) => {
  const addon = fastSha256();
  if (!addon) return t.skip('OpenSSL is faster here, or native/sha256.c is not built');
  const state = new Uint8Array(addon.stateBytes);
  addon.begin(state);
  const outOfRange = { code: 'ERR_OUT_OF_RANGE' };
  assert.throws(() => addon.append(new Uint8Array(addon.stateBytes - 1), Buffer.of(1)), outOfRange);
  assert.throws(() => addon.finish(state, new Uint8Array(31)), outOfRange);
  // @ts-expect-error: bytes only
  assert.throws(() => addon.append(state, 'text'), { code: 'ERR_INVALID_ARG_TYPE' });
});
