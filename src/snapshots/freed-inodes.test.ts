import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FreedInodes } from './freed-inodes.ts';

const group = 1 << 17;

/** Places at these inodes, and which of them are there. */
function places(inodes: readonly number[]) {
  const there = new Set<string>();
  let made = 0;
  return {
    there,
    make: async () => {
      const inode = inodes[made++]!;
      const path = `${inode / group}`;
      there.add(path);
      return { path, inode };
    },
    remove: async (path: string) => void there.delete(path),
  };
}

test('a place is as good as another while nothing was freed', async () => {
  const { there, make, remove } = places([41 * group]);
  assert.equal(await new FreedInodes().farPlace(make, remove), '41');
  assert.deepEqual([...there], ['41']);
});

test('places near what was freed are left again, until it has cooled down', async () => {
  let now = 0;
  const freed = new FreedInodes(() => now);
  freed.note(41 * group);
  const first = places([41, 42, 40, 78].map((at) => at * group));
  assert.equal(await freed.farPlace(first.make, first.remove), '78');
  assert.deepEqual([...first.there], ['78']);
  now = 6 * 60_000;
  const later = places([41 * group]);
  assert.equal(await freed.farPlace(later.make, later.remove), '41');
});

test('where all are near, the farthest is taken', async () => {
  const freed = new FreedInodes(() => 0);
  for (const at of [0, 4, 8]) freed.note(at * group);
  const { there, make, remove } = places([0, 1, 4, 5, 6, 7, 8, 9].map((at) => at * group));
  assert.equal(await freed.farPlace(make, remove), '6');
  assert.deepEqual([...there], ['6']);
});

test('a place that cannot be made leaves none of the others', async () => {
  const freed = new FreedInodes(() => 0);
  freed.note(0);
  const { there, make, remove } = places([0, group]);
  const full = async () => {
    if (there.size === 2) throw new Error('no space');
    return await make();
  };
  await assert.rejects(freed.farPlace(full, remove), /no space/);
  assert.deepEqual([...there], []);
});
