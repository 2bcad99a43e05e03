import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireRoot } from '#testing';
import { TestDaemon } from '../support/daemon.ts';

test('--log-format json: an object per line', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: ['--bridge=none', '--iptables=false', '--log-format=json'] });
  const lines = daemon.log.split('\n').filter((line) => line !== '');
  const objects = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const driver = objects.find(({ msg }) => msg === 'storage driver chosen');
  assert.equal(driver?.['level'], 'info');
  assert.match(String(driver?.['time']), /^\d{4}-\d\d-\d\dT/);
  assert.equal(typeof driver?.['driver'], 'string');
});
