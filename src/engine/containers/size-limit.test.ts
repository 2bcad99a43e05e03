import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sizeLimitOf } from './size-limit.ts';

const able = { name: 'erofs', sizeLimitRefusal: () => undefined } as const;

test('the size of a container: read as Docker writes it, refused where it cannot be had', () => {
  assert.equal(sizeLimitOf({}, able), undefined);
  assert.equal(sizeLimitOf({ StorageOpt: { size: '1.5G' } }, able), 1.5 * 2 ** 30);
  assert.equal(sizeLimitOf({ StorageOpt: { SIZE: '64m' } }, able), 2 ** 26);
  assert.equal(sizeLimitOf({ StorageOpt: { size: '0' } }, able), undefined);
  assert.throws(() => sizeLimitOf({ StorageOpt: { bogus: '1' } }, able), { message: 'Unknown option bogus' });
  assert.throws(() => sizeLimitOf({ StorageOpt: { size: 'lots' } }, able), { message: "invalid size: 'lots'" });
  const unable = { name: 'vfs', sizeLimitRefusal: () => 'it makes plain copies' } as const;
  assert.throws(
    () => sizeLimitOf({ StorageOpt: { size: '1G' } }, unable),
    /size is not supported by .* vfs here: it makes/,
  );
});
