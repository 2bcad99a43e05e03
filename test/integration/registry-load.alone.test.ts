import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { runCampaign } from '../../bench/registry-campaign.ts';

const maxMemoryBytes = 300 << 20;

test('a registry under load, collected and killed, keeps what it acknowledged', async () => {
  await using folder = await temporaryFolder();
  const report = await runCampaign({
    root: join(folder.path, 'data'),
    clients: 40,
    durationMs: 8000,
    kills: 1,
    quietMs: 3000,
  });
  assert.deepEqual(report.faults, []);
  assert.ok(report.pushes > 0 && report.pulls > 0, JSON.stringify(report));
  assert.ok(report.readBack > 0);
  assert.ok(report.peakMemoryBytes < maxMemoryBytes, `${report.peakMemoryBytes} bytes`);
});
