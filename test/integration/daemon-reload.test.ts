import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '#client';
import { requireRoot, temporaryFolder } from '#testing';
import { TestDaemon } from '../support/daemon.ts';
import { eventually } from './daemon-fixture.ts';

test('SIGHUP takes over what the file says now, and a file that cannot be used changes nothing', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder('wherry-reload-');
  const file = join(folder.path, 'daemon.json');
  await writeFile(file, JSON.stringify({ labels: ['tier=one'] }));
  await using daemon = await TestDaemon.start({ flags: ['--config-file', file] });
  await using engine = connect(daemon.host);
  assert.deepEqual((await engine.system.info()).Labels, ['tier=one']);

  const since = `${Math.floor(Date.now() / 1000)}`;
  const settings = {
    labels: ['tier=two'],
    'insecure-registries': ['registry.test:5000'],
    'registry-mirrors': ['https://mirror.test'],
    'max-concurrent-downloads': 7,
    'live-restore': true,
  };
  await writeFile(file, JSON.stringify(settings));
  process.kill(daemon.pid, 'SIGHUP');
  assert.ok(await eventually(async () => (await engine.system.info()).Labels[0] === 'tier=two'));
  const info = await engine.system.info();
  assert.equal(info.LiveRestoreEnabled, true);
  assert.ok(info.RegistryConfig?.IndexConfigs['registry.test:5000']?.Secure === false);
  assert.deepEqual(info.RegistryConfig?.Mirrors, ['https://mirror.test/']);
  const until = `${Math.floor(Date.now() / 1000) + 1}`;
  const events = await Array.fromAsync(engine.system.events({ since, until, filters: { type: ['daemon'] } }));
  assert.equal(events[0]?.Action, 'reload');
  assert.equal(events[0]?.Actor.Attributes['max-concurrent-downloads'], '7');
  assert.equal(events[0]?.Actor.Attributes['labels'], '["tier=two"]');

  await writeFile(file, '{"labels": ["tier=three"], "no-such-setting": 1}');
  process.kill(daemon.pid, 'SIGHUP');
  assert.ok(await eventually(() => daemon.log.includes('the configuration stays as it was')));
  assert.deepEqual((await engine.system.info()).Labels, ['tier=two']);
});
