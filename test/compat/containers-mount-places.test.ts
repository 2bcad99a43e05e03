import assert from 'node:assert/strict';
import { chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { mountFlags, sys, umountFlags } from '#sys';
import { containerSetup } from './containers-fixture.ts';

test('places that something is mounted on are made with the modes dockerd gives them', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, folder, sh } = setup;
  writeFileSync(join(folder, 'file'), 'x');
  mkdirSync(join(folder, 'folder'));
  const binds = [
    '-v',
    `${folder}/file:/made/file`,
    '-v',
    `${folder}/folder:/also/made`,
    '--tmpfs',
    '/t',
    '-v',
    'vol:/v',
  ];
  const inner = ['-v', `${folder}/folder:/v/inner`];
  await docker.ok('run', '--name', 'mounts', ...binds, ...inner, 'base', 'true');
  await docker.ok('commit', 'mounts', 'kept');
  const script = 'stat -c "%n %a %u %s" /made /made/file /also /also/made /t /v; ls -A /v';
  const seen = await docker.ok('run', '--rm', 'kept', 'sh', '-c', script);
  const modes = seen.replaceAll(/^(\/(?:made|also|also\/made|t|v) 755 0) \d+$/gm, '$1');
  assert.equal(modes, '/made 755 0\n/made/file 644 0 0\n/also 755 0\n/also/made 755 0\n/t 755 0\n/v 755 0\n');
  assert.match(await sh(['-v', 'vol:/v'], 'ls -A /v'), /^inner$/);
});

test('the folder of a volume has its name in the archive of a container that does not run', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, folder } = setup;
  await docker.ok('create', '--name', 'stopped', '-v', 'vol:/deep/data', 'base', 'true');
  writeFileSync(join(folder, 'file'), 'x');
  await docker.ok('cp', join(folder, 'file'), 'stopped:/deep/data/file');
  const listed = await docker.run(['cp', 'stopped:/deep/data', join(folder, 'copy')]);
  assert.equal(listed.status, 0, listed.stderr);
  await docker.ok('cp', 'stopped:/deep/data', folder);
  await docker.ok('start', '-a', 'stopped');
  const archive = await docker.ok('cp', 'stopped:/deep/data', '-');
  assert.match(archive, /(?:^|\0)data\/\0/);
  assert.match(archive, /data\/file\0/);
});

test('a container that does not run is copied from and to as if it did, with all that is mounted in it', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { daemon, docker, folder } = setup;
  const [outer, inner, file] = [join(folder, 'outer'), join(folder, 'inner'), join(folder, 'file')];
  mkdirSync(outer);
  mkdirSync(inner);
  writeFileSync(file, 'file');
  writeFileSync(join(outer, 'o'), 'outer');
  writeFileSync(join(inner, 'i'), 'inner');
  const copied = async (path: string) => {
    const ran = await docker.run(['cp', path, '-']);
    return ran.status === 0 ? ran.stdout : ran.stderr;
  };
  const binds = ['-v', `${file}:/made/é/file`, '-v', `${inner}:/d/in`, '-v', `${outer}:/d`, '-v', `${inner}:/ro:ro`];
  const script = 'ln -s /d /link; ln -s /ro /to-ro; ln -s /etc /vol/etc';
  const image = ['--mount', 'type=image,src=base,dst=/image'];
  await docker.ok('run', '--name', 'first', ...binds, ...image, '-v', 'vol:/vol', 'base', 'sh', '-c', script);

  await t.test('one file, mounts in mounts and in folders that are made, links from one to the other', async () => {
    assert.match(await copied('first:/made/é/file'), /\0file\0+$/);
    assert.match(await copied('first:/d/in/i'), /inner/);
    const whole = await copied('first:/d');
    assert.match(whole, /outer/);
    assert.match(whole, /inner/);
    assert.match(await copied('first:/made'), /made\/é\/file/);
    assert.match(await copied('first:/link/in/i'), /inner/);
    assert.match(await copied('first:/vol/etc/hostname'), /hostname/);
    assert.match(await copied('first:/image/bin/sh'), /\0sh\0|^sh\0/);
    writeFileSync(join(folder, 'new'), 'new');
    await docker.ok('cp', join(folder, 'new'), 'first:/link/in/new');
    assert.equal(readFileSync(join(inner, 'new'), 'utf8'), 'new');
    mkdirSync(join(inner, 'ü'));
    await docker.ok('cp', join(folder, 'new'), 'first:/d/in/ü');
    assert.equal(readFileSync(join(inner, 'ü', 'new'), 'utf8'), 'new');
  });

  await t.test('a link with a slash behind it is followed; the names are those dockerd gives', async () => {
    const firstName = async (path: string) => (await copied(`first:${path}`)).split('\0', 1)[0];
    const names = { '/link': 'link', '/link/': 'link/', '/link/.': './', '/': '/', '/d': 'd/', '/etc/..': '/' };
    for (const [path, name] of Object.entries(names)) {
      const archive = await copied(`first:${path}`);
      // Times finer than a second come in a header of their own before it.
      assert.ok(
        archive.includes(`\0${name}\0`) || (await firstName(path)) === name,
        `${path}: ${archive.slice(0, 40)}`,
      );
    }
    assert.match(await copied('first:/link/'), /\0link\/in\/i\0/);
    const over = await docker.run(['cp', join(folder, 'new'), 'first:/made/é/file']);
    assert.match(over.stderr, /RemoveAll file: device or resource busy/);
  });

  await t.test('what is read-only stays so, through a link too', async () => {
    for (const path of ['/ro/no', '/to-ro/no']) {
      const refused = await docker.run(['cp', file, `first:${path}`]);
      assert.match(refused.stderr, /mounted volume is marked read-only/, path);
    }
    assert.equal(existsSync(join(inner, 'no')), false);
    await docker.ok('create', '--name', 'fixed', '--read-only', '-v', 'vol:/vol', 'base', 'true');
    const refused = await docker.run(['cp', file, 'fixed:/vol/etc/no']);
    assert.match(refused.stderr, /container rootfs is marked read-only/);
    await docker.ok('cp', file, 'fixed:/vol/yes');
  });

  await t.test('under other IDs it is shown under those', async () => {
    chownSync(outer, 1234, 1234);
    const made = await docker.run(['create', '--name', 'mapped', '-v', `${outer}:/m:idmap`, 'base', 'true']);
    assert.equal(made.status, 0, made.stderr);
    const refused = await docker.run(['cp', file, 'mapped:/m/copied']);
    if (refused.stderr.includes('cannot be shown under other IDs')) return t.skip('no idmapped mounts here');
    assert.equal(refused.status, 0, refused.stderr);
    assert.equal(statSync(join(outer, 'copied')).uid, 1234);
  });

  await t.test('nothing of it stays mounted, and volumes can go', async () => {
    const here = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    assert.deepEqual(
      here.filter((line) => line.includes(join(daemon.folder, 'run', 'binds'))),
      [],
    );
    await docker.ok('rm', 'first', 'fixed');
    await docker.ok('volume', 'rm', 'vol');
  });
});

test('what the mount of a source does not allow is not allowed in a container', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { folder, sh } = setup;
  const source = join(folder, 'restricted');
  mkdirSync(source);
  const { noSuid, noDev, noExec, readOnly, bind, remount } = mountFlags;
  using mounted = new DisposableStack();
  sys.mount('tmpfs', source, 'tmpfs', noSuid | noDev | noExec, '');
  mounted.defer(() => sys.umount(source, umountFlags.detach));
  const shown = async (flags: readonly string[]) => (await sh(flags, 'grep " /v " /proc/mounts')).split(' ')[3];
  assert.match((await shown(['-v', `${source}:/v`]))!, /^rw,nosuid,nodev,noexec,/);
  assert.match((await shown(['-v', `${source}:/v:ro`]))!, /^ro,nosuid,nodev,noexec,/);
  const alone = `type=bind,source=${source},target=/v,bind-recursive=disabled`;
  assert.match((await shown(['--mount', alone]))!, /^rw,nosuid,nodev,noexec,/);
  const volume = 'type=volume,target=/v,volume-opt=type=tmpfs,volume-opt=device=tmpfs,"volume-opt=o=noexec,uid=5"';
  assert.match((await shown(['--mount', volume]))!, /^rw,noexec,.*uid=5/);
  sys.mount('', source, '', bind | remount | readOnly, '');
  assert.match((await shown(['-v', `${source}:/v`]))!, /^ro,/);
});
