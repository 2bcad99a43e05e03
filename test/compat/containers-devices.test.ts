import assert from 'node:assert/strict';
import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { containerSetup, daemonWords } from './containers-fixture.ts';

/** A device that no container has by itself and that anybody with permission may open. */
const device = ['/dev/fuse', '/dev/loop-control', '/dev/net/tun'].find((path) => existsSync(path));

test('devices of the host in a container', {
  skip: device === undefined && 'the machine has no device to give',
}, async (t) => {
  await using specs = await temporaryFolder();
  await using setup = await containerSetup(t, ['--cdi-spec-dir', specs.path]);
  if (!setup || device === undefined) return;
  const { docker, run, sh } = setup;
  const message = async (flags: readonly string[]) => {
    const ran = await run(flags, ['true']);
    // The CLI makes 127 of every message that says "no such file or directory".
    assert.ok(ran.status === 125 || ran.status === 127, flags.join(' '));
    return daemonWords(docker, ran);
  };
  const { rdev } = lstatSync(device);
  const [major, minor] = [(rdev >> 8) & 0xfff, rdev & 0xff];
  /** Opens what is at a path to read, then to write. */
  const opens = (path: string) => `(: < ${path}) 2>&1; (: > ${path}) 2>&1; echo done`;
  const denied = 'Operation not permitted';

  await t.test('one device: at its path or another, and only what was allowed', async () => {
    assert.equal(await sh(['--device', device], opens(device)), 'done');
    assert.equal(
      await sh(['--device', `${device}:/dev/mine`], `ls ${device} 2>/dev/null; ${opens('/dev/mine')}`),
      'done',
    );
    const readOnly = await sh(['--device', `${device}:/dev/mine:r`], opens('/dev/mine'));
    assert.match(readOnly, new RegExp(`^[^\n]*${denied}\ndone$`));
    const shown = ['inspect', '-f', '{{json .HostConfig.Devices}}', 'shown'];
    await docker.ok('create', '--name', 'shown', '--device', `${device}:/dev/mine:r`, 'base', 'true');
    const expected = [{ PathOnHost: device, PathInContainer: '/dev/mine', CgroupPermissions: 'r' }];
    assert.deepEqual(JSON.parse(await docker.ok(...shown)), expected);
    await docker.ok('rm', 'shown');
  });

  await t.test('a folder of devices; what is none', async () => {
    const folder = join(specs.path, 'folder');
    await mkdir(folder);
    await docker.ok(
      'run',
      '--rm',
      '--privileged',
      '-v',
      `${folder}:/f`,
      'base',
      'mknod',
      '/f/d',
      'c',
      String(major),
      String(minor),
    );
    assert.equal(await sh(['--device', `${folder}:/dev/many`], opens('/dev/many/d')), 'done');
    assert.equal(
      await message(['--device', '/dev/nosuch']),
      'error gathering device information while adding custom device "/dev/nosuch": no such file or directory',
    );
    assert.equal(
      await message(['--device', '/etc/passwd']),
      'error gathering device information while adding custom device "/etc/passwd": not a device node',
    );
  });

  await t.test('a rule lets a container use what it makes itself', async () => {
    const make = `mknod /d c ${major} ${minor}; ${opens('/d')}`;
    assert.match(await sh([], make), new RegExp(`${denied}[^]*${denied}`));
    assert.equal(await sh(['--device-cgroup-rule', `c ${major}:* rw`], make), 'done');
  });

  await t.test('a privileged container has what the host has, and what it was given', async () => {
    const names = (await sh(['--privileged', '--device', `${device}:/dev/mine`], 'ls /dev')).split('\n');
    for (const name of readdirSync('/dev').filter((entry) => lstatSync(`/dev/${entry}`).isBlockDevice())) {
      assert.ok(names.includes(name), name);
    }
    assert.ok(names.includes('mine'));
  });

  await t.test('groups', async () => {
    assert.equal(await sh(['--group-add', '99999', '--group-add', '5'], 'id -G'), '0 5 99999');
    assert.match(
      await message(['--group-add', 'nosuch']),
      /unable to find group nosuch: no matching entries in group file/,
    );
  });

  await t.test('CDI: devices by name, GPUs by number, and neither', async () => {
    const missing = 'could not select device driver "" with capabilities: [[gpu]]';
    assert.equal(await message(['--gpus', 'all']), `${missing}: no CDI specification of a GPU in ${specs.path}`);
    await writeFile(
      join(specs.path, 'gpu.yaml'),
      `cdiVersion: 0.6.0
kind: nvidia.com/gpu
containerEdits:
  env: [GPU=common]
devices:
- name: "0"
  containerEdits:
    deviceNodes:
    - {path: /dev/gpu, hostPath: ${device}, permissions: r}
    mounts:
    - hostPath: ${specs.path}
      containerPath: /specs
      options: [ro, nosuid, nodev, bind]
    additionalGids: [77]
`,
    );
    const given = await sh(
      ['--gpus', '1', '-e', 'GPU=mine'],
      `echo $GPU; id -G; ls /specs/gpu.yaml; ${opens('/dev/gpu')}`,
    );
    assert.match(given, new RegExp(`^common\n0 77\n/specs/gpu.yaml\n[^\n]*${denied}\ndone$`));
    assert.match(
      await message(['--gpus', 'device=7']),
      /^CDI device injection failed: unresolvable CDI devices nvidia\.com\/gpu=7$/,
    );
    if (docker.olderThan(25)) return; // its `--device` knows paths only
    assert.match(await sh(['--device', 'nvidia.com/gpu=0'], 'ls /dev/gpu'), /gpu/);
    if (!docker.olderThan(28)) {
      const found = await docker.ok('info', '-f', '{{json .CDISpecDirs}}');
      assert.deepEqual(JSON.parse(found), [specs.path]);
    }
  });
});
