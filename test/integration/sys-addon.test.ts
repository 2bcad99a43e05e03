import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { mkdir, open, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { mountAttr, mountFlags, renameFlags, resolveFlags, sys, umountFlags } from '#sys';
import { requireRoot, temporaryFolder } from '#testing';

/** A tmpfs of the test's own, gone with all that is mounted below it. */
async function scratch(t: TestContext): Promise<({ path: string } & AsyncDisposable) | undefined> {
  if (!requireRoot(t)) return undefined;
  const folder = await temporaryFolder('wherry-sys-');
  sys.mount('tmpfs', folder.path, 'tmpfs', 0, 'size=16m');
  return {
    path: folder.path,
    async [Symbol.asyncDispose]() {
      sys.umount(folder.path, umountFlags.detach);
      await folder[Symbol.asyncDispose]();
    },
  };
}

test('mount, bind, remount read-only, umount', async (t) => {
  await using folder = await scratch(t);
  if (!folder) return;
  const [source, target] = [join(folder.path, 'source'), join(folder.path, 'target')];
  await Promise.all([mkdir(source), mkdir(target)]);
  await writeFile(join(source, 'file'), 'x');
  sys.mount(source, target, '', mountFlags.bind, '');
  assert.equal(await readFile(join(target, 'file'), 'utf8'), 'x');
  sys.mount('', target, '', mountFlags.bind | mountFlags.remount | mountFlags.readOnly, '');
  await assert.rejects(writeFile(join(target, 'file'), 'y'), { code: 'EROFS' });
  sys.umount(target, 0);
  assert.throws(() => sys.umount(target, 0), { code: 'EINVAL', syscall: 'umount2', path: target });
  assert.throws(() => sys.mount('none', target, 'no-such-fs', 0, ''), { code: 'ENODEV' });
  assert.equal(sys.statfs(folder.path).type, 0x01021994);
});

test('fsMount stacks more layers than mount(2) can name, at paths longer than fsconfig takes', async (t) => {
  await using folder = await scratch(t);
  if (!folder) return;
  const deep = join(folder.path, 'd'.repeat(200), 'e'.repeat(200));
  const lowers = Array.from({ length: 80 }, (_, index) => join(deep, `layer-${index}`));
  for (const [index, lower] of lowers.entries()) {
    await mkdir(lower, { recursive: true });
    await writeFile(join(lower, `from-${index}`), '');
    await writeFile(join(lower, 'common'), `${index}`);
  }
  const [upper, work, target] = ['upper', 'work', 'merged'].map((name) => join(folder.path, name));
  for (const path of [upper!, work!, target!]) await mkdir(path);
  sys.fsMount(
    'overlay',
    [
      ...lowers.map((lower) => ['lowerdir+', lower] as const),
      ['upperdir', upper!],
      ['workdir', work!],
      ['index', 'off'],
      ['xino', 'on'],
    ],
    target!,
    mountAttr.noDev,
  );
  assert.equal(await readFile(join(target!, 'common'), 'utf8'), '0');
  assert.equal(await readFile(join(target!, 'from-79'), 'utf8'), '');
  await writeFile(join(target!, 'new'), 'new');
  assert.equal(await readFile(join(upper!, 'new'), 'utf8'), 'new');
  sys.umount(target!, 0);
});

test('readFileInRoot gives the beginning of a plain file, and of nothing else', async (t) => {
  await using folder = await scratch(t);
  if (!folder) return;
  const at = (name: string) => join(folder.path, name);
  await mkdir(at('inner'));
  await writeFile(at('inner/file'), 'content');
  await symlink('inner', at('way'));
  await symlink('inner/file', at('link'));
  sys.mknod(at('pipe'), 0o010644, 0, 0);
  await using root = await open(folder.path, constants.O_RDONLY | constants.O_DIRECTORY);
  const into = Buffer.alloc(10, '.');
  const read = (path: string, size = 10) => sys.readFileInRoot(root.fd, path, into.fill('.').subarray(0, size));
  assert.equal(read('inner/file'), 7);
  assert.equal(into.toString(), 'content...');
  assert.equal(read('inner/file', 3), 3);
  assert.equal(into.toString(), 'con.......');
  for (const path of ['way/file', 'link', 'pipe', 'inner', 'nowhere', 'inner/file/below'])
    assert.equal(read(path), 0, path);
  assert.throws(() => sys.readFileInRoot(-1, 'inner/file', into));
});

test('a mount that fails says which step, and what the kernel has to say', async (t) => {
  await using folder = await scratch(t);
  if (!folder) return;
  assert.throws(
    () => sys.fsMount('overlay', [['no_such_option', 'x']], folder.path, 0),
    (error: NodeJS.ErrnoException) =>
      error.code === 'EINVAL' && error.syscall === 'fsconfig' && /no_such_option/.test(error.message),
  );
  assert.throws(() => sys.fsMount('no-such-fs', [], folder.path, 0), { code: 'ENODEV', syscall: 'fsopen' });
  assert.throws(() => sys.fsMount('tmpfs', [], join(folder.path, 'nowhere'), 0), {
    code: 'ENOENT',
    syscall: 'move_mount',
  });
});

test('devices, whiteouts and every kind of attribute', async (t) => {
  await using folder = await scratch(t);
  if (!folder) return;
  const device = join(folder.path, 'device');
  sys.mknod(device, 0o060600, 259, 1048575);
  const stat = sys.lstat(device);
  assert.deepEqual([stat.mode, stat.rdevMajor, stat.rdevMinor], [0o060600, 259, 1048575]);
  const value = Buffer.from([0, 1, 255, 0]);
  sys.lsetxattr(device, 'trusted.overlay.opaque', value);
  sys.lsetxattr(device, 'security.capability', Buffer.from('0100000200000000000000000000000000000000', 'hex'));
  assert.deepEqual(sys.lgetxattr(device, 'trusted.overlay.opaque'), value);
  assert.deepEqual(sys.llistxattr(device).toSorted(), ['security.capability', 'trusted.overlay.opaque']);
  sys.lremovexattr(device, 'trusted.overlay.opaque');
  assert.equal(sys.lgetxattr(device, 'trusted.overlay.opaque'), undefined);
  const moved = join(folder.path, 'moved');
  sys.rename2(device, moved, renameFlags.whiteout);
  const whiteout = sys.lstat(device);
  assert.deepEqual([whiteout.mode & 0o170000, whiteout.rdevMajor, whiteout.rdevMinor], [0o020000, 0, 0]);
});

test('openInRoot can be kept on one filesystem', async (t) => {
  await using folder = await scratch(t);
  if (!folder) return;
  await mkdir(join(folder.path, 'inner'));
  sys.mount('tmpfs', join(folder.path, 'inner'), 'tmpfs', 0, 'size=1m');
  await writeFile(join(folder.path, 'inner', 'file'), '');
  await using root = await open(folder.path, constants.O_RDONLY | constants.O_DIRECTORY);
  sys.close(sys.openInRoot(root.fd, 'inner/file', constants.O_RDONLY, 0, 0));
  assert.throws(() => sys.openInRoot(root.fd, 'inner/file', constants.O_RDONLY, 0, resolveFlags.noXdev), {
    code: 'EXDEV',
  });
});
