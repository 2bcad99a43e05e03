import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { serveRegistry } from '#registry-server';
import { requireRoot, temporaryFolder } from '#testing';
import { TestDaemon } from '../support/daemon.ts';
import { Clients, randomOf, verifies } from './crash-fixture.ts';
import { builds, lives, loads, networks, prunes, pulls, pushes, runs, tags, undos } from './crash-jobs.ts';
import { stock } from './crash-stock.ts';

/** More are worth it now and then: WHERRY_CRASHES=150. */
const crashes = Number(process.env['WHERRY_CRASHES'] ?? 8);
const seed = Number(process.env['WHERRY_SEED'] ?? randomInt(2 ** 31));
const driver = process.env['WHERRY_STORAGE_DRIVER'];
const remap = process.env['WHERRY_USERNS_REMAP'];
/** `both` or `uncompressed`; by chance where it is not said. */
const retain = process.env['WHERRY_RETAIN'];

test('a daemon killed at any moment keeps what is finished, loses what is not, and leaks nothing', async (t) => {
  if (!requireRoot(t)) return;
  t.diagnostic(`WHERRY_SEED=${seed}`);
  const random = randomOf(seed);
  await using folder = await temporaryFolder('wherry-crash-registry-');
  await using registry = await serveRegistry({ root: join(folder.path, 'data'), addr: '127.0.0.1:0' });
  await using daemon = await TestDaemon.start({
    flags: [
      ...['--retain', retain ?? (random(2) === 0 ? 'both' : 'uncompressed')],
      ...(driver ? ['--storage-driver', driver] : []),
      ...(remap ? ['--userns-remap', remap] : []),
    ],
  });
  const address = registry.address.replace(/^https?:\/\//, '');
  const { archives, references, base } = await stock(daemon, address);
  const clients = new Clients(daemon, random, {
    mounts: driver !== 'vfs' || remap !== undefined,
    remapped: remap !== undefined,
  });
  const jobs = [
    loads(archives),
    pulls(references),
    pushes(address),
    builds,
    tags,
    undos,
    lives('a'),
    lives('b'),
    runs,
    networks,
    prunes,
  ];
  clients.start([]);
  await clients.tag('import', 'base:latest', async () => base);

  for (let crash = 0; crash < crashes; crash++) {
    const work = clients.start(jobs);
    await wait(100 + random(2500));
    clients.expectEnd();
    await daemon.kill();
    await work.stop();
    if (crash % 4 === 1) await verifies(daemon);
    await daemon.start();
    await clients.settle();
    await verifies(daemon);
  }
  t.diagnostic(`answered: ${JSON.stringify(Object.fromEntries(clients.counts))}`);
});
