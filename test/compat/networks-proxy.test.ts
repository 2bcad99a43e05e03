/** What the daemon's configuration leaves to the kernel: forwarding, and published ports. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { containerSetup } from './containers-fixture.ts';

const space = `wnp${process.pid % 100000}`;
const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' });
const inside = (...args: string[]) => spawnSync('ip', ['netns', 'exec', space, ...args], { encoding: 'utf8' });
const forwarding = () => inside('cat', '/proc/sys/net/ipv4/ip_forward').stdout.trim();
const served = ['base', 'sh', '-c', 'mkdir /w; cd /w; echo hi >index.html; httpd -p 80; exec sleep 1000'];

for (const { flags, forwards, carries } of [
  { flags: [], forwards: '1', carries: true },
  { flags: ['--userland-proxy=false', '--ip-forward=false'], forwards: '0', carries: false },
]) {
  test(`in a network namespace of its own: ${flags.join(' ') || 'by default'}`, async (t) => {
    if (process.getuid?.() !== 0) return t.skip('needs root');
    ip('netns', 'add', space);
    t.after(() => ip('netns', 'delete', space));
    ip('-n', space, 'link', 'set', 'lo', 'up');
    inside('sh', '-c', 'echo 0 >/proc/sys/net/ipv4/ip_forward');
    await using setup = await containerSetup(t, flags, { within: ['nsenter', `--net=/run/netns/${space}`] });
    if (!setup) return;
    const { docker } = setup;
    await docker.ok('network', 'create', 'own');
    for (const network of ['bridge', 'own']) {
      await docker.ok('run', '-d', '--name', 'web', '--network', network, '-p', '80', ...served);
      const ports = (await docker.ok('port', 'web', '80')).trim().split('\n');
      const port = ports[0]!.split(':')[1];
      const curl = (address: string) =>
        inside('curl', '-s', '--retry', '3', '--retry-connrefused', '-m', '4', `http://${address}:${port}/`).stdout;
      assert.equal(curl('127.0.0.1'), 'hi\n', 'the kernel leads there');
      assert.equal(curl('[::1]'), carries ? 'hi\n' : '');
      assert.equal(ports.length, carries ? 2 : 1, ports.join());
      await docker.ok('rm', '-f', 'web');
    }
    assert.equal(forwarding(), forwards);
    const off = forwards === '0';
    const warned = async (network: string) =>
      (await docker.run(['create', '--network', network, 'base', 'true'])).stderr.includes(
        'IPv4 forwarding is disabled. Networking will not work.',
      );
    assert.deepEqual([await warned('bridge'), await warned('own'), await warned('none')], [off, off, false]);
    const information = await docker.ok('info', '-f', '{{.IPv4Forwarding}} {{json .Warnings}}');
    assert.equal(information.startsWith('false'), off);
    assert.equal(information.includes('"WARNING: IPv4 forwarding is disabled"'), off);
    await docker.ok('container', 'prune', '-f');
    await docker.ok('network', 'rm', 'own');
  });
}
