import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sys } from '#sys';
import { containerSetup, daemonWords, lines, until } from './containers-fixture.ts';

test('volumes, mounts, networks and ports', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, folder, run, sh } = setup;
  const message = async (flags: readonly string[]) => {
    const ran = await run(flags, ['true']);
    assert.equal(ran.status, 125, flags.join(' '));
    return daemonWords(docker, ran);
  };

  await t.test('named volumes: life, copy-up, read-only, nocopy, labels', async () => {
    assert.equal(await docker.ok('volume', 'create', '--label', 'k=v', 'data'), 'data\n');
    await sh(['-v', 'data:/d'], 'echo hi > /d/f');
    assert.equal(await sh(['-v', 'data:/d:ro'], 'cat /d/f; touch /d/x 2>/dev/null || echo ro'), 'hi\nro');
    await docker.ok('create', '--name', 'user', '-v', 'data:/d', 'base', 'true');
    const used = await docker.run(['volume', 'rm', 'data']);
    assert.match(used.stderr, /^Error response from daemon: remove data: volume is in use - \[[0-9a-f]{64}\]\n$/);
    await docker.ok('rm', 'user');
    assert.equal(await sh(['-v', 'filled:/etc'], 'ls /etc/passwd'), '/etc/passwd');
    assert.equal(
      await sh(['--mount', 'type=volume,src=empty,dst=/etc,volume-nocopy,volume-label=a=b'], 'ls /etc'),
      'hostname\nhosts\nresolv.conf',
    );
    assert.equal(await docker.ok('volume', 'inspect', '-f', '{{json .Labels}}', 'empty'), '{"a":"b"}\n');
    assert.deepEqual(lines(await docker.ok('volume', 'ls', '-q')), ['data', 'empty', 'filled']);
    // Before 23 the CLI knew no `-a`, and a prune meant named volumes too.
    const all = docker.olderThan(23) ? '-f' : '-af';
    assert.match(await docker.ok('volume', 'prune', all, '--filter', 'label=k'), /^Deleted Volumes:\ndata\n/);
    await docker.ok('volume', 'rm', 'empty', 'filled');
    await docker.ok('run', '--name', 'anonymous', '-v', '/anon', 'base', 'true');
    assert.equal(lines(await docker.ok('volume', 'ls', '-q')).length, 1);
    await docker.ok('rm', '-v', 'anonymous');
    assert.equal(await docker.ok('volume', 'ls', '-q'), '');
  });

  await t.test('binds: both ways, read-only down to nested mounts, propagation, wrong ones', async () => {
    const bound = join(folder, 'bound');
    await mkdir(join(bound, 'sub'), { recursive: true });
    await sh(['-v', `${bound}:/b`], 'echo from > /b/inside');
    assert.equal(await readFile(join(bound, 'inside'), 'utf8'), 'from\n');
    sys.mount('tmpfs', join(bound, 'sub'), 'tmpfs', 0, '');
    try {
      await writeFile(join(bound, 'sub', 'f'), '');
      const touch = 'ls /b/sub; touch /b/sub/x 2>/dev/null && rm /b/sub/x || echo ro';
      // Clients before 25 speak an API in which a read-only bind left alone what is mounted below.
      const below = docker.olderThan(25) ? 'f' : 'f\nro';
      assert.equal(await sh(['-v', `${bound}:/b:ro`], touch), below);
      const writable = docker.olderThan(25) ? 'readonly' : 'readonly,bind-recursive=writable';
      assert.equal(await sh(['--mount', `type=bind,src=${bound},dst=/b,${writable}`], touch), 'f');
      const nonRecursive = docker.olderThan(25) ? 'bind-nonrecursive' : 'bind-recursive=disabled';
      const flat = `type=bind,src=${bound},dst=/b,${nonRecursive}`;
      assert.equal(await sh(['--mount', flat], 'ls /b/sub; touch /b/sub/y && rm /b/sub/y'), '');
      assert.match(await sh(['--mount', `${flat},readonly`], 'touch /b/sub/y 2>&1 || true'), /Read-only file system/);
      if (!docker.olderThan(25)) {
        const deep = `type=bind,src=${bound},dst=/b,readonly,bind-propagation=rprivate,bind-recursive=readonly`;
        assert.equal(await sh(['--mount', deep], touch), 'f\nro');
      }
    } finally {
      sys.umount(join(bound, 'sub'), 0);
    }
    const file = ['-v', `${join(bound, 'inside')}:/file:ro`];
    assert.equal(await sh(file, 'cat /file; echo x 2>/dev/null >> /file || echo ro'), 'from\nro');
    assert.match(await message(['--mount', `type=bind,src=${bound}/no,dst=/b`]), /bind source path does not exist: /);
    assert.equal(await message(['-v', `${bound}:/b:ro,rw`]), 'invalid mode: ro,rw');
    assert.equal(await message(['-v', `${bound}:/b`, '-v', `${bound}/sub:/b`]), 'Duplicate mount point: /b');
    assert.match(await message(['-v', 'rel/path:/x']), /includes invalid characters for a local volume name/);
  });

  await t.test('network modes', async () => {
    assert.equal(await sh(['--network', 'none'], 'ls /sys/class/net'), 'lo');
    assert.equal(await sh([], 'ls /sys/class/net'), 'eth0\nlo');
    assert.equal(
      await sh(['--network', 'host'], 'readlink /proc/1/ns/net; hostname'),
      `${readlinkSync('/proc/self/ns/net')}\n${hostname()}`,
    );
    const hardware = '02:42:ac:11:00:77';
    await docker.ok('create', '--name', 'fixed', '--mac-address', hardware, 'base', 'true');
    const config = JSON.parse(await docker.ok('inspect', '-f', '{{json .Config}}', 'fixed')) as object;
    assert.equal(Object.entries(config).find(([key]) => key === 'MacAddress')?.[1], hardware);
    const keys = Object.keys(config);
    assert.ok(
      keys.indexOf('MacAddress') > keys.indexOf('Entrypoint') && keys.indexOf('MacAddress') < keys.indexOf('OnBuild'),
    );
    // It is told of the default bridge in the old place too, and no longer once a run has ended.
    const places = '{{.NetworkSettings.MacAddress}} {{range .NetworkSettings.Networks}}{{.MacAddress}}{{end}}';
    const addresses = () => docker.ok('inspect', '-f', places, 'fixed');
    assert.equal(await addresses(), `${hardware} ${hardware}\n`);
    await docker.ok('start', '-a', 'fixed');
    assert.equal(await addresses(), ' \n');
    await docker.ok('rm', 'fixed');
    await docker.ok('create', '--name', 'fixed', '--network', 'host', '--mac-address', hardware, 'base', 'true');
    assert.equal(await docker.ok('inspect', '-f', '{{.Config.MacAddress}}', 'fixed'), '\n');
    await docker.ok('rm', 'fixed');
    assert.equal(
      await message(['--network', 'nosuch']),
      'failed to set up container networking: network nosuch not found',
    );
    assert.deepEqual(lines(await docker.ok('network', 'ls', '--format', '{{.Name}} {{.Driver}} {{.Scope}}')), [
      'bridge bridge local',
      'host host local',
      'none null local',
    ]);
    await docker.ok('run', '-d', '--name', 'seen', 'base', 'sleep', '100');
    const seen = await docker.ok(
      'network',
      'inspect',
      'bridge',
      '-f',
      '{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}',
    );
    const address = await docker.ok(
      'inspect',
      '-f',
      '{{.NetworkSettings.IPAddress}}/{{.NetworkSettings.IPPrefixLen}}',
      'seen',
    );
    assert.equal(seen, `seen ${address}`);
    await docker.ok('rm', '-f', 'seen');
  });

  await t.test('published ports: reachable, listed, in ranges; conflicts are told apart', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '0.0.0.0', resolve));
    const { port } = taken.address() as { port: number };
    try {
      const busy = await message(['-p', `0.0.0.0:${port}:80`, '--name', 'late']);
      assert.match(
        busy,
        /^failed to set up container networking: driver failed programming external connectivity on endpoint late \([0-9a-f]{64}\): failed to bind host port for 0\.0\.0\.0:\d+:[\d.]+:80\/tcp: address already in use$/,
      );
    } finally {
      await new Promise((resolve) => taken.close(resolve));
    }
    await docker.ok(
      'run',
      '-d',
      '--name',
      'web',
      '-p',
      `127.0.0.1:${port}:80`,
      '-p',
      '53/udp',
      '--expose',
      '99',
      'base',
      'sh',
      '-c',
      'mkdir /w; echo page > /w/i; httpd -f -h /w',
    );
    assert.equal(await docker.ok('port', 'web', '80'), `127.0.0.1:${port}\n`);
    assert.match(await docker.ok('port', 'web', '53/udp'), /^0\.0\.0\.0:\d+\n/);
    const page = async () => {
      try {
        return await (await fetch(`http://127.0.0.1:${port}/i`)).text();
      } catch {
        return '';
      }
    };
    assert.equal(await until(page, (text) => text !== ''), 'page\n');
    assert.match(
      await message(['-p', `127.0.0.1:${port}:80`]),
      /Bind for 127\.0\.0\.1:\d+ failed: port is already allocated$/,
    );
    assert.match(await docker.ok('ps', '--format', '{{.Ports}}'), new RegExp(`127\\.0\\.0\\.1:${port}->80/tcp`));
    await docker.ok('rm', '-f', 'web');
    assert.equal(await page(), '');
  });
});
