import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNoSpace, withRoom } from './index.ts';

const noSpace = () => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });

test('work that found no space is done again while room can be made', async () => {
  let tries = 0;
  const work = async () => {
    if (++tries < 3) throw new Error('write blob', { cause: noSpace() });
    return 'done';
  };
  assert.equal(await withRoom(async () => true, work), 'done');
  assert.equal(tries, 3);
});

test('without room, and for what room does not help, the first failure stands', async () => {
  let asked = 0;
  const makeRoom = async () => ++asked < 1;
  await assert.rejects(
    withRoom(makeRoom, () => Promise.reject(noSpace())),
    isNoSpace,
  );
  assert.equal(asked, 1);
  await assert.rejects(
    withRoom(makeRoom, () => Promise.reject(new TypeError('other'))),
    TypeError,
  );
  assert.equal(asked, 1);
});
