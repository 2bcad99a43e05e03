import assert from 'node:assert/strict';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { CountedMounts } from './counted.ts';

/** A folder that is no mount point: unmounting it is fine, so counting is tested without root. */
async function target() {
  const folder = await temporaryFolder();
  return { folder, path: folder.path };
}

test('many holders share one mount, and the last release ends it', {
  skip: process.getuid?.() !== 0 && 'needs root',
}, async () => {
  const { folder, path } = await target();
  await using _ = folder;
  const mounts = new CountedMounts();
  let made = 0;
  const make = () => void made++;
  await Promise.all([mounts.hold(path, make), mounts.hold(path, make), mounts.hold(path, make)]);
  assert.equal(made, 1);
  await mounts.release(path);
  await mounts.release(path);
  assert.ok(mounts.isHeld(path));
  await mounts.release(path);
  assert.ok(!mounts.has(path));
  await mounts.hold(path, make);
  assert.equal(made, 2);
});

test('a failed mount leaves no hold', async () => {
  const mounts = new CountedMounts();
  await assert.rejects(
    mounts.hold('/nowhere', () => {
      throw new Error('no');
    }),
    /no/,
  );
  assert.ok(!mounts.has('/nowhere'));
  await assert.rejects(mounts.release('/nowhere'), /nobody holds it/);
});

test('a set that keeps idle mounts unmounts only when told', {
  skip: process.getuid?.() !== 0 && 'needs root',
}, async () => {
  const { folder, path } = await target();
  await using _ = folder;
  const mounts = new CountedMounts({ keepIdle: true });
  let made = 0;
  await mounts.hold(path, () => void made++);
  assert.equal(await mounts.drop(path), false);
  await mounts.release(path);
  await mounts.hold(path, () => void made++);
  assert.equal(made, 1);
  await mounts.release(path);
  assert.equal(await mounts.drop(path), true);
  assert.ok(!mounts.has(path));
});

test('an adopted mount is there but idle', () => {
  const mounts = new CountedMounts();
  mounts.adopt('/run/x');
  assert.ok(mounts.has('/run/x'));
  assert.ok(!mounts.isHeld('/run/x'));
});
