/** `docker build --network`: what steps are connected to, with the words of dockerd 28 where it cannot be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withBuilds } from './build-fixture.ts';
import { lines } from './containers-fixture.ts';

test('steps are on the network that is named, where names are known', (t) =>
  withBuilds(t, async ({ build, docker }) => {
    const network = await docker.run(['network', 'create', 'n']);
    assert.equal(network.status, 0, network.stderr);
    const peer = await docker.run(['run', '-d', '--network', 'n', '--name', 'peer', 'base', 'sleep', '1000']);
    assert.equal(peer.status, 0, peer.stderr);
    const files = { Dockerfile: 'FROM base\nRUN nslookup peer 127.0.0.11 | grep -A1 "Name:.*peer" | tail -1\n' };
    const built = await build(files, '--network', 'n');
    assert.equal(built.status, 0, built.stderr);
    const address = await docker.run(['inspect', '-f', '{{.NetworkSettings.Networks.n.IPAddress}}', 'peer']);
    assert.ok(built.stdout.includes(`Address: ${address.stdout.trim()}`), built.stdout);
    const attached = await docker.run(['network', 'inspect', '-f', '{{range .Containers}}{{.Name}} {{end}}', 'n']);
    assert.deepEqual(lines(attached.stdout), ['peer ']);
    const removed = await docker.run(['rm', '-f', 'peer']);
    assert.equal(removed.status, 0, removed.stderr);
    assert.equal((await docker.run(['network', 'rm', 'n'])).status, 0);
  }));

test('steps share the network of a container', (t) =>
  withBuilds(t, async ({ build, docker }) => {
    const started = await docker.run(['run', '-d', '--name', 'cc', '--hostname', 'shown', 'base', 'sleep', '1000']);
    assert.equal(started.status, 0, started.stderr);
    const own = await docker.run(['exec', 'cc', 'sh', '-c', 'readlink /proc/self/ns/net; cat /etc/hosts']);
    const built = await build(
      { Dockerfile: 'FROM base\nRUN readlink /proc/self/ns/net; cat /etc/hosts; hostname\n' },
      '--network',
      'container:cc',
    );
    assert.equal(built.status, 0, built.stderr);
    assert.ok(built.stdout.includes(own.stdout), `${built.stdout} has not ${own.stdout}`);
    assert.match(built.stdout, /^shown$/m);
  }));

test('what is not there ends the build at the step', (t) =>
  withBuilds(t, async ({ build, docker }) => {
    const faults = [
      ['nowhere', 'failed to set up container networking: network nowhere not found'],
      ['container:nobody', 'joining network namespace of container: No such container: nobody'],
    ] as const;
    for (const [network, words] of faults) {
      const built = await build({ Dockerfile: 'FROM base\nRUN true\n' }, '--network', network);
      assert.equal(built.status, 1);
      assert.match(built.stdout, /^Step 2\/2 : RUN/m);
      assert.ok(built.stderr.trimEnd().endsWith(words), built.stderr);
    }
    assert.equal((await docker.run(['ps', '-aq'])).stdout, '');
  }));
