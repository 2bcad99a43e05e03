import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '#client';
import { serveRegistry } from '#registry-server';
import { requireRoot, temporaryFolder } from '#testing';
import { TestDaemon } from '../support/daemon.ts';
import { Clients, randomOf, verifies } from './crash-fixture.ts';
import { builds, lives, loads, networks, prunes, pulls, runs, tags, undos } from './crash-jobs.ts';
import { stock } from './crash-stock.ts';

/** More are worth it now and then: WHERRY_CHURN_SECONDS=600. */
const seconds = Number(process.env['WHERRY_CHURN_SECONDS'] ?? 6);
/** What is left is compared, and thinned out, after each. */
const roundSeconds = 30;
const seed = Number(process.env['WHERRY_SEED'] ?? randomInt(2 ** 31));
const driver = process.env['WHERRY_STORAGE_DRIVER'];

test('garbage is collected beside clients that build, pull, run, tag, undo and prune, and nothing they have is lost', async (t) => {
  if (!requireRoot(t)) return;
  t.diagnostic(`WHERRY_SEED=${seed}`);
  const random = randomOf(seed);
  await using folder = await temporaryFolder('wherry-churn-');
  await using registry = await serveRegistry({ root: join(folder.path, 'registry'), addr: '127.0.0.1:0' });
  await using daemon = await TestDaemon.start({ flags: driver ? ['--storage-driver', driver] : [] });
  const { archives, references, base } = await stock(daemon, registry.address.replace(/^https?:\/\//, ''));
  const clients = new Clients(daemon, random, { mounts: driver !== 'vfs', remapped: false });
  const jobs = [loads(archives), pulls(references), builds, tags, undos, prunes];
  const all = [...jobs, lives('a'), lives('b'), runs, networks];
  clients.start([]);
  await clients.tag('import', 'base:latest', async () => base);
  for (let left = seconds; left > 0; left -= roundSeconds) {
    const work = clients.start(all);
    await wait(Math.min(left, roundSeconds) * 1000);
    await work.stop();
    await clients.settle();
    await verifies(daemon);
  }
  t.diagnostic(`answered: ${JSON.stringify(Object.fromEntries(clients.counts))}`);

  await using engine = connect(daemon.host);
  for (const { Id } of await engine.containers.list({ all: true }))
    await engine.containers.remove(Id, { force: true, volumes: true });
  for (const { Id } of await engine.images.list({ all: true }))
    await engine.images.remove(Id, { force: true }).catch(() => undefined);
  await engine.pruneBuildCache({ all: true });
  assert.deepEqual(await engine.images.list({ all: true }), []);
  await verifies(daemon);
});
