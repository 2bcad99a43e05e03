import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromBytes, readAll } from '#streams';
import { parseDetachKeys, untilDetached } from './detach-keys.ts';

test('keys are read as dockerd reads them', () => {
  assert.deepEqual([...parseDetachKeys('')], [16, 17]);
  assert.deepEqual([...parseDetachKeys('ctrl-a,x,ctrl-@,ctrl-[')], [1, 120, 0, 27]);
  for (const bad of ['ctrl-', 'ctrl-1', 'ab', 'a,,b', 'é']) {
    assert.throws(() => parseDetachKeys(bad), { message: `Invalid detach keys (${bad}) provided` });
  }
});

test('input ends at the keys, however it is cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(16, 17, 97), { maxLength: 20 }),
      fc.integer({ min: 1, max: 5 }),
      async (bytes, step) => {
        const chunks: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; at += step) chunks.push(Uint8Array.from(bytes.slice(at, at + step)));
        const text = Buffer.from(bytes).toString('latin1');
        const at = text.indexOf('\x10\x11');
        let detached = false;
        const got = await readAll(
          untilDetached(fromBytes(...chunks), parseDetachKeys(undefined), () => {
            detached = true;
          }),
          1000,
        );
        assert.equal(detached, at >= 0);
        // A sequence that began at the very end stays unanswered: its last key may still come.
        const want = at >= 0 ? text.slice(0, at) : text.replace(/\x10$/, '');
        assert.equal(got.toString('latin1'), want);
      },
    ),
  );
});
