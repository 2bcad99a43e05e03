import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { containerSetup, daemonWords, lines } from './containers-fixture.ts';

test('volumes of others, and parts of volumes', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { daemon, docker, folder, run, sh } = setup;
  const message = async (flags: readonly string[]) => {
    const ran = await run(flags, ['true']);
    assert.notEqual(ran.status, 0, flags.join(' '));
    return daemonWords(docker, ran);
  };
  const volumes = async () => lines(await docker.ok('volume', 'ls', '-q'));
  const bound = join(folder, 'bound');
  await mkdir(bound);
  await writeFile(join(bound, 'file'), 'bound\n');

  await t.test('--volumes-from: binds and volumes, read-only where either says so, the later one first', async () => {
    const flags = ['-v', 'named:/n', '-v', '/anon', '-v', `${bound}:/b:ro`, '--tmpfs', '/t'];
    await docker.ok('run', '--name', 'source', ...flags, 'base', 'sh', '-c', 'echo n > /n/f; echo a > /anon/f');
    const read = 'cat /n/f /anon/f /b/file; [ -e /t ] || echo none; touch /n/x /b/x 2>&1 | sed "s/.*: //"';
    assert.equal(await sh(['--volumes-from', 'source'], read), 'n\na\nbound\nnone\nRead-only file system');
    assert.equal(
      await sh(['--volumes-from', 'source:ro'], 'touch /n/x /anon/x 2>&1 | sed "s/.*: //"'),
      'Read-only file system\nRead-only file system',
    );
    await docker.ok('create', '--name', 'second', '-v', `${bound}:/n`, 'base', 'true');
    assert.equal(await sh(['--volumes-from', 'source', '--volumes-from', 'second'], 'cat /n/file'), 'bound');
    assert.equal(await sh(['--volumes-from', 'source', '-v', `${bound}:/n`], 'cat /n/file'), 'bound');
    await docker.ok('create', '--name', 'user', '--volumes-from', 'source:z', 'base', 'true');
    const mounts = JSON.parse(await docker.ok('inspect', '-f', '{{json .Mounts}}', 'user')) as {
      Destination: string;
      Mode: string;
      RW: boolean;
    }[];
    assert.deepEqual(mounts.map(({ Destination, Mode, RW }) => [Destination, Mode, RW]).sort(), [
      ['/anon', '', true],
      ['/b', '', false],
      ['/n', '', true],
    ]);
    await docker.ok('rm', 'second');
  });

  await t.test('a volume without a name goes with the last container that has it', async () => {
    assert.equal((await volumes()).length, 2);
    await docker.ok('rm', '-v', 'source');
    assert.equal((await volumes()).length, 2);
    const failed = await docker.run(['create', '--volumes-from', 'user', '-v', 'bad name:/x', 'base', 'true']);
    assert.notEqual(failed.status, 0);
    assert.equal((await volumes()).length, 2);
    await docker.ok('rm', '-v', 'user');
    assert.deepEqual(await volumes(), ['named']);
  });

  await t.test('--volumes-from: what is none', async () => {
    await docker.ok('create', '--name', 'there', 'base', 'true');
    assert.equal(await message(['--volumes-from', 'nosuch']), 'No such container: nosuch');
    assert.equal(await message(['--volumes-from', '']), 'volumes-from specification cannot be an empty string');
    for (const mode of ['bogus', 'ro,rw', 'nocopy', 'rshared']) {
      assert.equal(await message(['--volumes-from', `there:${mode}`]), `invalid mode: ${mode}`);
    }
    await docker.ok('rm', 'there');
  });

  await t.test('a part of a volume: folders, files, never what is outside of it', async () => {
    if (docker.olderThan(26)) return; // knows no volume-subpath
    const part = (path: string) => ['--mount', `type=volume,src=named,dst=/p,volume-subpath=${path}`];
    await sh(['-v', 'named:/n'], 'mkdir -p /n/sub/deep; echo s > /n/sub/f; ln -s /etc /n/out; ln -s sub /n/in');
    assert.equal(await sh(part('sub'), 'cat /p/f; echo w > /p/deep/w; ls /p'), 's\ndeep\nf');
    assert.equal(await sh(part('sub/deep/w'), 'cat /p'), 'w');
    assert.equal(await sh(part('in'), 'cat /p/f'), 's');
    const data = join(daemon.dataRoot, 'volumes', 'named', '_data');
    assert.equal(
      await message(part('out')),
      `path concatenation escapes the base directory, base: ${data}, subpath: out`,
    );
    assert.match(await message(part('no')), /^cannot access path (\S+\/no): lstat \1: no such file or directory$/);
    for (const outside of ['../x', '/x', 'sub/../../x']) {
      assert.equal(
        await message(part(outside)),
        'invalid mount config for type "volume": subpath must be a relative path within the volume',
      );
    }
    await docker.ok('create', '--name', 'copied', ...part('sub'), 'base', 'true');
    assert.equal(await docker.ok('cp', 'copied:/p/f', join(folder, 'copy')), '');
    await docker.ok('rm', 'copied');
  });

  await t.test('a part that is mounted outlives the daemon, and goes with its container', async () => {
    if (docker.olderThan(26)) return;
    await symlink('/etc', join(bound, 'link'));
    await docker.ok(
      'run',
      '-d',
      '--name',
      'long',
      '--mount',
      'type=volume,src=named,dst=/p,volume-subpath=sub',
      'base',
      'sleep',
      '100',
    );
    const held = () => readdirSync(join(daemon.folder, 'run', 'binds')).length;
    assert.equal(held(), 1);
    await daemon.kill();
    await daemon.start();
    assert.equal(held(), 1);
    assert.equal(await docker.ok('exec', 'long', 'cat', '/p/f'), 's\n');
    await docker.ok('rm', '-f', 'long');
    assert.equal(held(), 0);
  });

  await t.test('options of a tmpfs mount', async () => {
    const flags = ['--mount', 'type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700'];
    assert.match(
      await sh(flags, 'grep " /t " /proc/mounts'),
      /^tmpfs \/t tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,mode=700 /,
    );
  });
});
