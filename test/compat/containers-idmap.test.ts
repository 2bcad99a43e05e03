import assert from 'node:assert/strict';
import { chownSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { mountFlags, sys, umountFlags } from '#sys';
import { containerSetup, daemonWords } from './containers-fixture.ts';

test('-v SOURCE:DESTINATION:idmap: the owner of the source is the container’s user', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { daemon, docker, folder, run, sh } = setup;
  const source = join(folder, 'source');
  await mkdir(source);
  for (const [name, uid, gid] of [
    ['mine', 1234, 1235],
    ['other', 77, 78],
    ['roots', 0, 0],
    ['', 1234, 1235],
  ] as const) {
    const path = join(source, name);
    if (!existsSync(path)) writeFileSync(path, '');
    chownSync(path, uid, gid);
  }
  const probe = await run(['-v', `${source}:/d:idmap`], ['true']);
  if (probe.status !== 0 && probe.stderr.includes('cannot be shown under other IDs')) {
    return t.skip('the file system of the temporary folder knows no idmapped mounts');
  }
  const owners = 'cd /d; stat -c "%n %u %g" . mine other roots';

  await t.test('what it owns is shown so, and what the user makes belongs to it', async () => {
    const seen = await sh(['-v', `${source}:/d:idmap`], `${owners}; touch made; chmod 600 mine`);
    assert.equal(seen, '. 0 0\nmine 0 0\nother 77 78\nroots 65534 65534');
    const made = statSync(join(source, 'made'));
    assert.deepEqual([made.uid, made.gid], [1234, 1235]);
    assert.equal(statSync(join(source, 'mine')).uid, 1234);
  });

  await t.test('for a user without privileges as well, and read-only', async () => {
    const flags = ['-u', '5:6', '-v', `${source}:/d:ro,idmap`];
    assert.equal(await sh(flags, owners), '. 5 6\nmine 5 6\nother 77 78\nroots 0 0');
    assert.match(await sh(flags, 'touch /d/x 2>&1 || true'), /Read-only file system/);
    assert.equal(await sh(['-u', '5:6', '-v', `${source}:/d:idmap`], 'echo w > /d/mine && cat /d/mine'), 'w');
  });

  await t.test('by --mount, among the words of its propagation', async () => {
    const by = (propagation: string) => [
      '--mount',
      `type=bind,source=${source},target=/d,"bind-propagation=${propagation}"`,
    ];
    assert.equal(await sh(by('idmap'), owners), '. 0 0\nmine 0 0\nother 77 78\nroots 65534 65534');
    assert.equal(await sh(['-u', '5:6', ...by('private,idmap')], 'stat -c "%u %g" /d'), '5 6');
    for (const bad of ['idmap,idmap', 'idmap,private,slave', 'bogus']) {
      assert.equal(
        daemonWords(docker, await run(by(bad), ['true'])),
        `invalid mount config for type "bind": invalid propagation mode: ${bad}`,
      );
    }
  });

  await t.test('one file; what cannot be; nothing stays mounted', async () => {
    assert.equal(await sh(['-v', `${join(source, 'mine')}:/f:idmap`], 'stat -c %u /f'), '0');
    const refused = await run(['-v', '/proc/sys:/d:idmap'], ['true']);
    assert.match(
      daemonWords(docker, refused),
      /^idmap \/proc\/sys: its file system, .* cannot be shown under other IDs$/,
    );
    assert.equal(daemonWords(docker, await run(['-v', 'volume:/d:idmap'], ['true'])), 'invalid mode: idmap');
    assert.deepEqual(readdirSync(join(daemon.folder, 'run', 'binds')), []);
  });
});

test('what is mounted below a source stays mounted for the host when the container ends', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, folder, run, sh } = setup;
  const source = join(folder, 'shared');
  const below = join(source, 'below');
  const later = join(source, 'later');
  const mountHere = (path: string) => {
    mkdirSync(path, { recursive: true });
    sys.mount('tmpfs', path, 'tmpfs', 0, '');
    writeFileSync(join(path, 'here'), '');
  };
  mountHere(source);
  // As systemd has every mount.
  sys.mount('', source, '', mountFlags.shared, '');
  using mounted = new DisposableStack();
  mounted.defer(() => sys.umount(source, umountFlags.detach));
  mountHere(below);
  chownSync(source, 1234, 1234);

  await t.test('of one under other IDs, with what is below or without', async () => {
    const probe = await run(['-v', `${source}:/d:idmap`], ['true']);
    if (probe.stderr.includes('cannot be shown under other IDs')) return t.skip('tmpfs knows no idmapped mounts');
    assert.equal(await sh(['-v', `${source}:/d:idmap`], 'stat -c %u /d; ls /d/below'), '0\nhere');
    assert.deepEqual(readdirSync(below), ['here']);
    const alone = `type=bind,source=${source},target=/d,bind-recursive=disabled,"bind-propagation=idmap"`;
    assert.equal(await sh(['--mount', alone], 'stat -c %u /d; ls /d/below'), '0');
    assert.deepEqual(readdirSync(below), ['here']);
  });

  await t.test('of a volume that is a folder of the host with all below it', async () => {
    const options = ['type=none', 'o=rbind', `device=${source}`].flatMap((option) => ['-o', option]);
    await docker.ok('volume', 'create', ...options, 'all');
    assert.equal(await sh(['-v', 'all:/d'], 'ls /d/below'), 'here');
    assert.deepEqual(readdirSync(below), ['here']);
  });

  await t.test('when it came while a container ran', async () => {
    for (const propagation of ['rprivate', 'rslave', 'rshared']) {
      const alone = `type=bind,source=${source},target=/d,bind-recursive=disabled,bind-propagation=${propagation}`;
      await docker.ok('run', '-d', '--name', propagation, '--mount', alone, 'base', 'sleep', '1000');
      mountHere(later);
      const seen = await docker.run(['exec', propagation, 'ls', '/d/later']);
      assert.equal(seen.stdout, propagation === 'rprivate' ? '' : 'here\n', propagation);
      await docker.ok('rm', '-f', propagation);
      assert.deepEqual(readdirSync(later), ['here'], propagation);
      sys.umount(later, 0);
    }
  });

  await t.test('other IDs and shared mounts are not had together', async () => {
    const both = await run(['-v', `${source}:/d:idmap,rshared`], ['true']);
    assert.equal(daemonWords(docker, both), 'invalid mode: idmap,rshared: idmap does not go with shared mounts');
    const mount = `type=bind,source=${source},target=/d,"bind-propagation=idmap,rshared"`;
    assert.equal(
      daemonWords(docker, await run(['--mount', mount], ['true'])),
      'invalid mount config for type "bind": invalid propagation mode: idmap,rshared: idmap does not go with shared mounts',
    );
  });
});
