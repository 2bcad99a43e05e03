import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tmpfsOptions } from './tmpfs-options.ts';

test('the user’s options take the place of the defaults they contradict', () => {
  assert.deepEqual(tmpfsOptions(['']), ['noexec', 'nosuid', 'nodev']);
  assert.deepEqual(tmpfsOptions(['exec', 'size=1m']), ['nosuid', 'nodev', 'exec', 'size=1m']);
  assert.deepEqual(tmpfsOptions(['size=1m', 'mode=700', 'size=2m', 'ro', 'rw']), [
    'noexec',
    'nosuid',
    'nodev',
    'mode=700',
    'size=2m',
    'rw',
  ]);
  assert.deepEqual(tmpfsOptions(['defaults']), ['noexec', 'nosuid', 'nodev']);
  assert.deepEqual(tmpfsOptions(['rshared', 'private']), ['noexec', 'nosuid', 'nodev', 'private']);
});

test('what tmpfs does not know is refused', () => {
  const refused = { bogus: 'bogus', 'lowerdir=/x': 'lowerdir', size: 'size', '=1': '=1' };
  for (const [option, named] of Object.entries(refused)) {
    assert.throws(() => tmpfsOptions([option]), {
      message: `invalid tmpfs option "${named}"`,
      kind: 'invalid-argument',
    });
  }
});
