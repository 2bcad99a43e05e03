/** The campaign at length. Usage: registry-load.ts [--clients N] [--minutes M] [--kills K] */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runCampaign } from './registry-campaign.ts';

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '200' },
    minutes: { type: 'string', default: '10' },
    kills: { type: 'string', default: '3' },
  },
});
const root = await mkdtemp(join(tmpdir(), 'wherry-registry-load-'));
try {
  const durationMs = Number(values.minutes) * 60_000;
  const [clients, kills] = [Number(values.clients), Number(values.kills)];
  const report = await runCampaign({ root, durationMs, clients, kills, quietMs: 15_000 });
  console.log(JSON.stringify(report, null, 2));
  process.exitCode = report.faults.length === 0 ? 0 : 1;
} finally {
  await rm(root, { recursive: true, force: true });
}
