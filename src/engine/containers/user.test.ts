import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { resolveUser } from './user.ts';

test('all that follows the first colon is a group', async () => {
  await using root = await temporaryFolder();
  await mkdir(join(root.path, 'etc'));
  await writeFile(join(root.path, 'etc/group'), 'staff:x:50:\n');
  const { uid, gid } = resolveUser(root.path, '7:staff');
  assert.deepEqual([uid, gid], [7, 50]);
  for (const group of ['0:0', 'staff:']) {
    const message = `unable to find group ${group}: no matching entries in group file`;
    assert.throws(() => resolveUser(root.path, `0:${group}`), { message });
  }
});
