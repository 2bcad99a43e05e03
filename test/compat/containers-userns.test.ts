import assert from 'node:assert/strict';
import { chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { requireRoot } from '#testing';
import { TestDaemon } from '../support/daemon.ts';
import type { DockerCli } from '../support/docker-cli.ts';
import { type ContainerSetup, containerSetup, daemonWords } from './containers-fixture.ts';

const flags = ['--userns-remap', 'default'];

/** Where the user's IDs begin outside. */
function firstID(file: string): number {
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('dockremap:'));
  return Number(line?.split(':')[1]);
}

/** The output without its last line end. */
const trimmed =
  (docker: DockerCli) =>
  async (...args: string[]): Promise<string> =>
    (await docker.ok(...args)).trim();

/** Undefined, said aloud, where the kernel or the file system cannot. */
async function remapped(t: TestContext, driver: string): Promise<ContainerSetup | undefined> {
  if (!requireRoot(t)) return undefined;
  try {
    return await containerSetup(t, [...flags, '--storage-driver', driver]);
  } catch (error) {
    if (!/userns-remap needs|user creation/.test(String(error))) throw error;
    t.skip(String(error));
    return undefined;
  }
}

for (const driver of ['erofs', 'overlay2', 'vfs']) {
  test(`--userns-remap with ${driver}: a container's users are others outside, its files are not`, async (t) => {
    await using setup = await remapped(t, driver);
    if (!setup) return;
    const { docker, sh, folder } = setup;
    const ok = trimmed(docker);
    const first = firstID('/etc/subuid');
    const owners = 'stat -c "%n %u %g" / /bin /etc/hosts /dev/shm /made /given 2>/dev/null';
    const map = await sh([], 'cat /proc/self/uid_map');
    assert.equal(map.replaceAll(/\s+/g, ' '), `0 ${first} 65536`);
    assert.match(await ok('info', '--format', '{{.SecurityOptions}}'), /name=userns/);

    await t.test('inside everything is root’s as ever, outside the processes are not', async () => {
      const script = `touch /made /given; chown 5:6 /given; ${owners}; exec sleep 1000`;
      const id = await ok('run', '-d', 'base', 'sh', '-c', script);
      const pid = await ok('inspect', '-f', '{{.State.Pid}}', id);
      const seen = await ok('exec', id, 'sh', '-c', owners);
      assert.equal(seen, '/ 0 0\n/bin 0 0\n/etc/hosts 0 0\n/dev/shm 0 0\n/made 0 0\n/given 5 6');
      assert.equal(statSync(`/proc/${pid}`).uid, first);
      assert.equal(statSync(`/proc/${pid}/root/given`).uid, first + 5);
      assert.match(await ok('exec', '-u', '7:8', id, 'id'), /^uid=7 gid=8/);
      assert.match(await ok('top', id), new RegExp(`^${first} `, 'm'));
      await ok('rm', '-f', id);
    });

    await t.test('commit, diff, export, cp and build know the container’s own IDs', async () => {
      const script = 'touch /made /given; chown 5:6 /given; rm /etc/group';
      await ok('run', '--name', 'work', 'base', 'sh', '-c', script);
      assert.equal(await ok('diff', 'work'), 'C /etc\nD /etc/group\nA /given\nA /made');
      await ok('commit', 'work', 'kept');
      assert.equal(await sh(['--userns', 'host'], 'cat /proc/self/uid_map').then((text) => /^0\s+0/.test(text)), true);
      for (const more of [[], ['--userns', 'host']]) {
        const ran = await ok('run', '--rm', ...more, 'kept', 'stat', '-c', '%u %g', '/given', '/made');
        assert.equal(ran, '5 6\n0 0');
      }
      const source = join(folder, 'source');
      writeFileSync(source, 'x');
      chownSync(source, 9, 10);
      await ok('cp', '-a', source, 'work:/copied');
      await ok('start', 'work');
      const listed = await docker.run(['export', 'work']);
      assert.equal(listed.status, 0);
      await ok('commit', 'work', 'kept');
      assert.equal(await ok('run', '--rm', 'kept', 'stat', '-c', '%u %g', '/copied'), '9 10');
      await ok('rm', '-f', 'work');
    });

    await t.test('a build’s steps run so as well', async () => {
      const context = join(folder, 'context');
      mkdirSync(context, { recursive: true });
      const run = 'cat /proc/self/uid_map > /map; mkdir /v; touch /v/f; chown 3:4 /v/f';
      const file = ['FROM base', `RUN ${run}`, 'VOLUME /v', 'RUN touch /v/lost /kept', 'COPY --chown=5:6 x /x'];
      writeFileSync(join(context, 'Dockerfile'), file.join('\n'));
      writeFileSync(join(context, 'x'), '');
      await ok('build', '-t', 'built', context);
      const said = await ok('run', '--rm', 'built', 'sh', '-c', 'cat /map; stat -c "%u %g" /v /v/* /kept /x');
      assert.equal(said.replaceAll(/[ \t]+/g, ' '), `0 ${first} 65536\n0 0\n3 4\n0 0\n5 6`);
    });

    await t.test('what a build mounts for a step is shown so', async () => {
      const context = join(folder, 'mounts');
      mkdirSync(context);
      const mounts = '--mount=target=/src --mount=from=made,source=/v,target=/v,rw --mount=type=cache,uid=7,target=/c';
      const run = `RUN ${mounts} stat -c "%u %g" /src/x /v/f /c >> /said && touch /c/made /v/made && stat -c %u /c/made /v/made >> /said`;
      const file = [
        'FROM base AS made',
        'RUN mkdir /v && touch /v/f && chown 3:4 /v/f',
        'FROM base',
        run,
        `${run} # again`,
      ];
      writeFileSync(join(context, 'Dockerfile'), file.join('\n'));
      writeFileSync(join(context, 'x'), '');
      await ok('build', '-t', 'mounted', context);
      const said = await ok('run', '--rm', 'mounted', 'cat', '/said');
      assert.equal(said, Array.from({ length: 2 }, () => '0 0\n3 4\n7 0\n0\n0').join('\n'));
    });

    await t.test('volumes are the containers’, binds of the host are nobody’s', async () => {
      const script = 'touch /v/made; chown 5:6 /v; stat -c "%u %g" /v /v/made /host /new';
      const host = join(folder, 'host');
      mkdirSync(host);
      const binds = ['-v', `${host}:/host`, '-v', `${join(folder, 'new')}:/new`];
      assert.equal(await sh(['-v', 'vol:/v', ...binds], script), '5 6\n0 0\n65534 65534\n0 0');
      assert.equal(await sh(['--userns', 'host', '-v', 'vol:/v'], 'stat -c "%u %g" /v /v/made'), '5 6\n0 0');
      assert.equal(statSync(join(folder, 'new')).uid, first);
      assert.equal(await sh(['-v', `${host}:/host:idmap`], 'touch /host/mine; stat -c %u /host/mine'), '0');
      assert.equal(statSync(join(host, 'mine')).uid, 0);
    });
  });
}

test('--userns-remap: what is the host’s is refused, and another container’s namespaces can be joined', async (t) => {
  await using setup = await remapped(t, 'erofs');
  if (!setup) return;
  const { docker, run, sh } = setup;
  const ok = trimmed(docker);
  const faults = [
    [
      '--privileged',
      'privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode',
    ],
    ['--network=host', "cannot share the host's network namespace when user namespaces are enabled"],
    ['--pid=host', 'cannot share the host PID namespace when user namespaces are enabled'],
  ] as const;
  for (const [flag, words] of faults) {
    const refused = await run([flag], ['true']);
    assert.deepEqual([refused.status, daemonWords(docker, refused)], [125, words]);
    assert.equal((await run([flag, '--userns=host'], ['true'])).status, 0);
  }
  const donor = await ok('run', '-d', '--ipc', 'shareable', 'base', 'sh', '-c', 'echo x > /dev/shm/x; sleep 1000');
  const own = await ok('exec', donor, 'readlink', '/proc/self/ns/user');
  for (const kind of ['network', 'pid', 'ipc']) {
    const seen = await sh([`--${kind}`, `container:${donor}`], 'readlink /proc/self/ns/user');
    assert.equal(seen, own, kind);
  }
  assert.equal(await sh(['--ipc', `container:${donor}`], 'cat /dev/shm/x'), 'x');
  assert.notEqual(await sh([], 'readlink /proc/self/ns/user'), own);
  assert.match(await sh(['--cap-add', 'NET_ADMIN'], 'ip link set eth0 mtu 1400 && ip link show eth0'), /mtu 1400/);
});

test('--userns-remap: a killed daemon’s containers are adopted, also by one that remaps nothing', async (t) => {
  await using setup = await remapped(t, 'erofs');
  if (!setup) return;
  const { daemon, docker } = setup;
  const ok = trimmed(docker);
  const id = await ok('run', '-d', '-v', 'vol:/v', 'base', 'sleep', '1000');
  const first = firstID('/etc/subuid');
  await daemon.kill();
  await daemon.start();
  assert.match(await ok('exec', id, 'cat', '/proc/self/uid_map'), new RegExp(`^ *0 +${first} `));
  await daemon.kill();
  await using plain = await TestDaemon.start({ folder: daemon.folder, flags: ['--storage-driver', 'erofs'] });
  assert.match(await ok('exec', id, 'cat', '/proc/self/uid_map'), new RegExp(`^ *0 +${first} `));
  await ok('exec', id, 'touch', '/v/f', '/f');
  await ok('cp', `${id}:/f`, join(setup.folder, 'f'));
  await ok('restart', '-t', '0', id);
  assert.match(await ok('exec', id, 'cat', '/proc/self/uid_map'), /^ *0 +0 /);
  assert.equal(await ok('exec', id, 'stat', '-c', '%u', '/f', '/v/f'), '0\n0');
  await ok('rm', '-f', id);
  await plain.stop();
  await daemon.start();
});
