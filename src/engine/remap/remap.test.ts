import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { freeRange } from './default-user.ts';
import { containerOwner, hostOwner, mapText, parseMap } from './id-mapping.ts';
import { findUser, subordinateMapping } from './remapped-user.ts';

async function accounts() {
  const folder = await temporaryFolder();
  const etc = folder.path;
  writeFileSync(join(etc, 'passwd'), 'root:x:0:0::/:/bin/sh\nada:x:1000:1001::/:/bin/sh\nlone:x:7:7::/:/bin/sh\n');
  writeFileSync(join(etc, 'group'), 'root:x:0:\nada:x:1001:\nstaff:x:50:\n');
  writeFileSync(join(etc, 'subuid'), '# ranges\nada:200000:1000\nother:100000:65536\n1000:500000:65536\n');
  writeFileSync(join(etc, 'subgid'), 'ada:300000:65536\n');
  return { etc, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

test('the ranges of a user follow one another from 0 on, those of its name and of its number', async () => {
  await using folder = await accounts();
  const mapping = subordinateMapping('ada', folder);
  assert.equal(mapText(mapping.uids), '0 200000 1000\n1000 500000 65536\n');
  assert.equal(mapText(mapping.gids), '0 300000 65536\n');
  assert.deepEqual(parseMap('         0     200000       1000\n      1000     500000      65536\n'), mapping.uids);
  assert.deepEqual(hostOwner(mapping, { uid: 999, gid: 0 }), { uid: 200999, gid: 300000 });
  assert.deepEqual(hostOwner(mapping, { uid: 1000, gid: 5 }), { uid: 500000, gid: 300005 });
  assert.deepEqual(containerOwner(mapping, { uid: 500001, gid: 7 }), { uid: 1001, gid: 7 });
  assert.throws(
    () => hostOwner(mapping, { uid: 70000, gid: 0 }),
    /^.*Container ID 70000 cannot be mapped to a host ID$/,
  );
});

test('users by name and number, with groups; what is not there is said as dockerd says it', async () => {
  await using folder = await accounts();
  for (const value of ['ada', '1000:1001', 'ada:staff', 'ada:50']) assert.equal(findUser(value, folder), 'ada');
  const faults = {
    'a:b:c': 'Invalid user/group specification in --userns-remap: "a:b:c"',
    nobody: 'Error during uid lookup for "nobody": getent unable to find entry "nobody" in passwd database',
    '1': 'Uid 1 has no entry in /etc/passwd: getent unable to find entry "1" in passwd database',
    '1000': 'Gid 1000 has no entry in /etc/passwd: getent unable to find entry "1000" in group database',
    'ada:no': 'Error during gid lookup for "no": getent unable to find entry "no" in group database',
    'ada:9': 'Gid 9 has no entry in /etc/passwd: getent unable to find entry "9" in group database',
    lone: 'Error during gid lookup for "lone": getent unable to find entry "lone" in group database',
  };
  for (const [value, message] of Object.entries(faults)) {
    assert.throws(() => findUser(value, folder), { message, kind: 'invalid-argument' });
  }
  assert.throws(() => subordinateMapping('lone', folder), {
    message: 'Can\'t create ID mappings: no subuid ranges found for user "lone"',
  });
});

test('the default user gets IDs that are nobody else’s', async () => {
  await using folder = await accounts();
  assert.equal(freeRange(folder, 'subgid'), '100000-165535');
  assert.equal(freeRange(folder, 'subuid'), '201000-266535');
  assert.equal(freeRange(folder, 'absent'), '100000-165535');
});
