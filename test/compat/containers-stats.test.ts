import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import type { ContainerStats } from '#api-types';
import { connect } from '#client';
import { isKind } from '#errdefs';
import { containerSetup, lines } from './containers-fixture.ts';

const v1 = existsSync('/sys/fs/cgroup/memory');

test('stats', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, daemon } = setup;
  await using engine = connect(daemon.host);
  const one = async (name: string, oneShot = false): Promise<ContainerStats> => {
    for await (const sample of engine.containers.stats(name, { oneShot })) return sample;
    throw new Error('no sample');
  };
  await docker.ok('run', '-d', '--name', 'busy', '-m', '64m', 'base', 'sh', '-c', 'while :; do :; done');
  await docker.ok('run', '-d', '--name', 'alone', '--network', 'none', 'base', 'sleep', '1000');
  await docker.ok('create', '--name', 'still', 'base', 'true');

  await t.test('a sample with one before it, in dockerd’s keys', async () => {
    const sample = await one('busy');
    assert.deepEqual(Object.keys(sample), [
      ...['name', 'id', 'read', 'preread', 'pids_stats', 'blkio_stats', 'num_procs', 'storage_stats', 'cpu_stats'],
      ...['precpu_stats', 'memory_stats', 'networks'],
    ]);
    assert.equal(sample.name, '/busy');
    assert.ok(Date.parse(sample.read) > Date.parse(sample.preread));
    assert.ok(sample.cpu_stats.cpu_usage.total_usage > sample.precpu_stats.cpu_usage.total_usage);
    assert.ok(sample.cpu_stats.system_cpu_usage! > sample.precpu_stats.system_cpu_usage!);
    assert.equal(sample.memory_stats.limit, 64 << 20);
    assert.ok(sample.memory_stats.usage! > 0 && Object.keys(sample.memory_stats.stats!).length > 25);
    assert.equal(sample.pids_stats.current, 1);
    assert.deepEqual(Object.keys(sample.networks!), ['eth0']);
    assert.ok(Object.keys(sample.networks!['eth0']!).includes('rx_bytes'));
    assert.equal(Array.isArray(sample.blkio_stats.io_serviced_recursive), v1);
  });

  await t.test('one shot, no network, nothing that runs', async () => {
    const shot = await one('busy', true);
    assert.deepEqual([shot.name, shot.id, shot.preread], [undefined, undefined, '0001-01-01T00:00:00Z']);
    assert.equal(shot.precpu_stats.system_cpu_usage, undefined);
    assert.equal((await one('alone', true)).networks, undefined);
    const still = await one('still');
    assert.deepEqual([still.name, still.read, still.pids_stats], ['/still', '0001-01-01T00:00:00Z', {}]);
    assert.equal(still.blkio_stats.io_service_bytes_recursive, null);
    await assert.rejects(one('nosuch'), (error) => isKind(error, 'not-found'));
    const both = engine.containers.stats('busy', { stream: true, oneShot: true })[Symbol.asyncIterator]();
    await assert.rejects(both.next(), /cannot have stream=true and one-shot=true/);
  });

  await t.test('a stream goes on from sample to sample, and ends with the container', async () => {
    const seen: ContainerStats[] = [];
    for await (const sample of engine.containers.stats('alone', { stream: true })) {
      seen.push(sample);
      if (seen.length === 2) await docker.ok('rm', '-f', 'alone');
    }
    assert.equal(seen.length, 2);
    assert.equal(seen[1]!.preread, seen[0]!.read);
  });

  await t.test('the table', async () => {
    const [header = '', ...rows] = lines(await docker.ok('stats', '--no-stream', 'busy', 'still'));
    assert.match(header, /^CONTAINER ID +NAME +CPU % +MEM USAGE \/ LIMIT +MEM % +NET I\/O +BLOCK I\/O +PIDS$/);
    assert.match(
      rows[0]!,
      /^[0-9a-f]{12} +busy +[1-9][\d.]*% +[\d.]+[KM]iB \/ 64MiB +[\d.]+% +[\d.]+k?B \/ [\d.]+k?B +.* 1$/,
    );
    assert.match(rows[1]!, /^[0-9a-f]{12} +still +0\.00% +0B \/ 0B +0\.00% +0B \/ 0B +0B \/ 0B +0$/);
  });
});
