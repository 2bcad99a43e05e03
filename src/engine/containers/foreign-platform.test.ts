import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { foreignPlatformWarnings } from './foreign-platform.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const arm64 = { os: 'linux', architecture: 'arm64' };
const s390x = { os: 'linux', architecture: 's390x' };

/** As Debian's qemu-user-static registers it, and the kernel shows it. */
const qemuArm64 = `enabled
interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: POF
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
`;

test('an image of another platform is warned of in the words of dockerd, with what to do', async () => {
  await using folder = await temporaryFolder();
  const warn = (image: typeof amd64, isWanted = false) =>
    foreignPlatformWarnings(image, amd64, { isWanted, handlers: folder.path });
  assert.deepEqual(await warn(amd64), []);
  assert.deepEqual(await warn({ os: 'linux', architecture: '386' }), [], 'it runs as it is');
  const [mismatch, advice, ...rest] = await warn(arm64);
  assert.equal(
    mismatch,
    "The requested image's platform (linux/arm64) does not match the detected host platform (linux/amd64) and no specific platform was requested",
  );
  assert.match(advice!, /^Programs for linux\/arm64 do not run on this machine: .* qemu-user-static/);
  assert.deepEqual(rest, []);
  assert.deepEqual(await warn(arm64, true), [advice], 'who asked for the platform knows it');
  await writeFile(join(folder.path, 'qemu-aarch64'), qemuArm64);
  assert.deepEqual(await warn(arm64, true), []);
  assert.equal((await warn(s390x, true)).length, 1, 'a handler for others is none');
  await writeFile(join(folder.path, 'qemu-aarch64'), qemuArm64.replace('enabled', 'disabled'));
  assert.deepEqual(await warn(arm64, true), [advice]);
});
