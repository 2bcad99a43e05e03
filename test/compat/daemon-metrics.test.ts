/** `--metrics-addr`: what a Prometheus server reads. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { TestDaemon } from '../support/daemon.ts';
import { containerSetup, until } from './containers-fixture.ts';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('metrics of the daemon', async (t) => {
  const address = `127.0.0.1:${await freePort()}`;
  await using setup = await containerSetup(t, ['--metrics-addr', address]);
  if (!setup) return;
  const { docker } = setup;
  const read = async () => {
    const answer = await fetch(`http://${address}/metrics`);
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    const lines = (await answer.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
  };
  const state = (name: string) => `engine_daemon_container_states_containers{state="${name}"}`;
  const actions = (name: string) => `engine_daemon_container_actions_seconds_count{action="${name}"}`;
  const before = await read();
  assert.deepEqual(
    ['running', 'paused', 'stopped'].map((name) => before.get(state(name))),
    [0, 0, 0],
  );
  const about = [...before.keys()].find((key) => key.startsWith('engine_daemon_engine_info{')) ?? '';
  assert.ok(about.includes(`daemon_id="${(await docker.ok('info', '-f', '{{.ID}}')).trim()}"`), about);
  assert.equal(before.get('engine_daemon_engine_cpus_cpus'), Number(await docker.ok('info', '-f', '{{.NCPU}}')));

  const probe = ['--health-cmd', 'true', '--health-interval', '200ms'];
  await docker.ok('run', '-d', '--name', 'one', ...probe, 'base', 'sleep', '1000');
  await docker.ok('run', '--name', 'two', 'base', 'true');
  const during = await until(read, (seen) => (seen.get('engine_daemon_health_checks_total') ?? 0) > 0);
  assert.deepEqual([during.get(state('running')), during.get(state('stopped'))], [1, 1]);
  assert.deepEqual(
    ['create', 'start', 'delete'].map((name) => during.get(actions(name))),
    [2, 2, 0],
  );
  assert.ok((during.get('engine_daemon_container_actions_seconds_sum{action="start"}') ?? 0) > 0);
  assert.ok((during.get('engine_daemon_events_total') ?? 0) > (before.get('engine_daemon_events_total') ?? 0));
  assert.equal(during.get('engine_daemon_health_checks_failed_total'), 0);
  await docker.ok('rm', '-f', 'one', 'two');
  assert.equal((await read()).get(actions('delete')), 2);
  assert.equal((await fetch(`http://${address}/`)).status, 404);

  await assert.rejects(
    TestDaemon.start({ flags: ['--bridge=none', '--iptables=false', '--metrics-addr', address] }),
    /failed to start metrics server: .*EADDRINUSE/,
  );
});
