import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { mapDevice, parseDeviceRule } from './device-mapping.ts';

test('a device under another path, through links, with what may be done', async () => {
  await using folder = await temporaryFolder();
  await symlink('/dev/null', join(folder.path, 'link'));
  const { devices, rules } = mapDevice(join(folder.path, 'link'), '/dev/x', 'rw');
  assert.deepEqual(
    devices.map(({ path, type, major, minor }) => [path, type, major, minor]),
    [['/dev/x', 'c', 1, 3]],
  );
  assert.deepEqual(rules, [{ allow: true, type: 'c', major: 1, minor: 3, access: 'rw' }]);
});

test('what is no device, and holds none, is told of in the words of dockerd', async () => {
  await using folder = await temporaryFolder();
  await mkdir(join(folder.path, 'empty'));
  await writeFile(join(folder.path, 'file'), '');
  const words = (path: string, reason: string) => ({
    message: `error gathering device information while adding custom device "${path}": ${reason}`,
  });
  for (const [name, reason] of [
    ['none', 'no such file or directory'],
    ['file', 'not a device node'],
    ['empty', 'not a device node'],
  ] as const) {
    const path = join(folder.path, name);
    assert.throws(() => mapDevice(path, '/dev/x', 'r'), words(path, reason));
  }
  assert.throws(() => mapDevice('/dev/null', '/dev/x', 'q'), {
    message: 'invalid permissions "q" of device /dev/null',
  });
});

test('device rules', () => {
  assert.deepEqual(parseDeviceRule('c 42:* rmw'), { allow: true, type: 'c', major: 42, access: 'rmw' });
  assert.deepEqual(parseDeviceRule('a *:* m'), { allow: true, type: 'a', access: 'm' });
  for (const bad of ['bogus', 'c 1 r', 'd 1:1 r', 'c 1:1 x', 'c 1:1']) {
    assert.throws(() => parseDeviceRule(bad), { message: `invalid device cgroup rule format: '${bad}'` });
  }
});
