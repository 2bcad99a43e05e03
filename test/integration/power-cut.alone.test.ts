import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { serveRegistry } from '#registry-server';
import { requireRoot, temporaryFolder } from '#testing';
import { TestDaemon } from '../support/daemon.ts';
import { Clients, randomOf, verifies } from './crash-fixture.ts';
import { builds, lives, loads, networks, pulls, runs, tags, undos } from './crash-jobs.ts';
import { stock } from './crash-stock.ts';
import { PulledDisk, requireReflinks } from './pulled-disk.ts';

/** More are worth it now and then: WHERRY_POWER_CUTS=100. */
const cuts = Number(process.env['WHERRY_POWER_CUTS'] ?? 3);
const seed = Number(process.env['WHERRY_SEED'] ?? randomInt(2 ** 31));
const driver = process.env['WHERRY_STORAGE_DRIVER'];
const fileSystem = process.env['WHERRY_POWER_FS'] === 'btrfs' ? 'btrfs' : 'ext4';

test('a machine that loses power at any moment keeps what was answered, and nothing of it is broken', async (t) => {
  if (!requireRoot(t) || !requireReflinks(t)) return;
  t.diagnostic(`WHERRY_SEED=${seed}`);
  const random = randomOf(seed);
  await using folder = await temporaryFolder('wherry-power-');
  await using registry = await serveRegistry({ root: join(folder.path, 'registry'), addr: '127.0.0.1:0' });
  const machine = join(folder.path, 'machine');
  await using disk = await PulledDisk.make(folder.path, join(machine, 'data'), fileSystem);
  await using daemon = await TestDaemon.start({
    folder: machine,
    flags: driver ? ['--storage-driver', driver] : [],
  });
  const { archives, references, base } = await stock(daemon, registry.address.replace(/^https?:\/\//, ''));
  const clients = new Clients(daemon, random, { mounts: driver !== 'vfs', remapped: false });
  const jobs = [loads(archives), pulls(references), builds, tags, lives('a'), lives('b'), runs, networks, undos];
  clients.start([]);
  await clients.tag('import', 'base:latest', async () => base);

  for (let cut = 0; cut < cuts; cut++) {
    const work = clients.start(jobs);
    await wait(300 + random(4000));
    clients.expectReboot();
    disk.pull();
    await work.stop();
    await daemon.stop();
    await disk.plugIn(daemon);
    await verifies(daemon);
    await daemon.start();
    await clients.settle();
    await verifies(daemon);
  }
  t.diagnostic(`answered: ${JSON.stringify(Object.fromEntries(clients.counts))}`);
});
