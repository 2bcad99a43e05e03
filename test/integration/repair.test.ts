import assert from 'node:assert/strict';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Engine, RepairItem } from '#api-types';
import { serveRegistry } from '#registry-server';
import { requireRoot, temporaryFolder } from '#testing';
import { TestDaemon } from '../support/daemon.ts';
import { drain, inPieces, noise, tarOf } from './crash-fixture.ts';
import { eventually, wherryd, withBase } from './daemon-fixture.ts';

/** Turns one bit of a file. */
function flip(path: string, offset: number): void {
  const fd = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, offset);
  writeSync(fd, Buffer.from([byte[0]! ^ 4]), 0, 1, offset);
  closeSync(fd);
}

const blobPath = ({ dataRoot }: TestDaemon, digest: string) =>
  join(dataRoot, 'content/blobs', digest.replace(':', '/'));

async function faults(engine: Engine): Promise<string[]> {
  return await Array.fromAsync(engine.system.verify());
}

/** An image of two layers, and a container of it. */
async function stock(engine: Engine, name: string) {
  const context = tarOf({ Dockerfile: 'FROM base\nCOPY data /data\n', data: noise(300_000) });
  await drain(engine.build(inPieces(context), { t: [name] }));
  await engine.containers.create({ Image: name, Cmd: ['true'] }, { name: 'box' });
  const { Id, RootFS } = await engine.images.inspect(name);
  return { id: Id, layer: RootFS.Layers!.at(-1)! };
}

test('a flipped bit is named with what it hurts, and repaired from the registry: layers, configs, manifests, indexes', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  await using registry = await serveRegistry({ root: join(folder.path, 'registry'), addr: '127.0.0.1:0' });
  await using daemon = await TestDaemon.start({ flags: ['--bridge=none', '--iptables=false', '--undo-grace=0'] });
  await using engine = await withBase(daemon.host);
  const name = `${registry.address.replace(/^https?:\/\//, '')}/team/app:1`;
  const made = await stock(engine, name);
  await drain(engine.images.push(name));
  await engine.containers.remove('box');
  await engine.images.remove(name);
  await engine.pruneBuildCache({ all: true });
  await drain(engine.images.pull(name));
  await engine.containers.create({ Image: name, Cmd: ['true'] }, { name: 'box' });
  assert.deepEqual(await faults(engine), []);

  const target = (await engine.images.inspect(name)).RepoDigests![0]!.split('@')[1]!;
  flip(blobPath(daemon, made.layer), 4000);
  flip(blobPath(daemon, made.id), 20);
  flip(blobPath(daemon, target), 20);
  flip(join(daemon.dataRoot, 'layers', `${made.layer.split(':')[1]}.erofs`), 1100);
  const found = await faults(engine);
  for (const digest of [made.layer, made.id, target]) {
    assert.match(found.join('\n'), new RegExp(`blob ${digest}: its bytes have digest .*hurts image ${name}`));
  }
  assert.match(found.join('\n'), new RegExp(`blob ${made.layer}: .*container box`));

  const items: RepairItem[] = await Array.fromAsync(engine.system.repair());
  assert.deepEqual(
    items.filter(({ RepairedFrom }) => RepairedFrom === undefined),
    [],
  );
  assert.equal(items.length, 4, JSON.stringify(items));
  assert.deepEqual(await faults(engine), []);
});

test('what no registry has is told so, and healed by a load, also by the next daemon', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: ['--bridge=none', '--iptables=false'] });
  await using engine = await withBase(daemon.host);
  const { layer } = await stock(engine, 'app');
  const archive = Buffer.concat(await Array.fromAsync(engine.images.save(['app'])));
  flip(blobPath(daemon, layer), 4000);
  const [item] = await Array.fromAsync(engine.system.repair());
  assert.equal(item?.Subject, `blob ${layer}`);
  assert.match(item?.Reason ?? '', /no registry is known to have it/);
  await daemon.kill();
  const { status, output } = await wherryd('verify', '--repair', '--data-root', daemon.dataRoot);
  assert.equal(status, 1);
  assert.match(output, /not repaired: no registry/);
  await daemon.start();
  await drain(engine.images.load(inPieces(archive)));
  assert.deepEqual(await faults(engine), []);
});

test('the daemon finds damage by itself, says so, and stops saying so when it is repaired', async (t) => {
  if (!requireRoot(t)) return;
  const flags = ['--bridge=none', '--iptables=false', '--scrub-interval=200ms'];
  await using daemon = await TestDaemon.start({ flags });
  await using engine = await withBase(daemon.host);
  const { layer } = await stock(engine, 'app');
  const archive = Buffer.concat(await Array.fromAsync(engine.images.save(['app'])));
  const warned = async () => ((await engine.system.info()).Warnings ?? []).some((line) => /1 damaged blob/.test(line));
  assert.equal(await warned(), false);
  flip(blobPath(daemon, layer), 4000);
  assert.equal(await eventually(warned), true);
  const told = new RegExp(`a blob is damaged.*${layer}.*image docker.io/library/app:latest`);
  assert.equal(await eventually(() => told.test(daemon.log)), true);
  await drain(engine.images.load(inPieces(archive)));
  assert.equal(await warned(), false);
  assert.deepEqual(await faults(engine), []);
});
