/** What a pull that did not end leaves for the next one. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '#oci';
import { temporaryFolder } from '#testing';
import { randomLayer, transferFixture } from './testsuite-load.ts';
import {
  asIs,
  leavesNothing,
  type Machine,
  published,
  pull,
  type RegistryFixture,
  registryFixture,
} from './testsuite-registry.ts';

const partBytes = 3 << 20;

/** Sends a part of a layer, then nothing more. Calls back once that has been taken and so many other layers are here. */
function stopAfter(
  registry: RegistryFixture,
  { fixture }: Pick<Machine, 'fixture'>,
  layer: Buffer,
  layersHere: number,
  then: () => void,
): void {
  const isTaken = async () =>
    (await fixture.content.ingests()).some(({ sizeBytes }) => sizeBytes >= partBytes / 2 && sizeBytes <= partBytes) &&
    fixture.metadata.layers.list().length >= layersHere;
  const look = async () => {
    if (await isTaken()) then();
    else setTimeout(look, 50);
  };
  registry.before = (request, response) => {
    if (request.method !== 'GET' || !request.url?.includes(digestOf(layer))) return false;
    response.writeHead(200, { 'content-length': layer.length });
    response.write(layer.subarray(0, partBytes), () => void look());
    return true;
  };
}

test('what an aborted pull has brought in is there for the next one, byte for byte', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const [small, layer] = [await randomLayer(), await randomLayer(5 << 20)];
  const reference = await published(registry, 'app:1', [small, layer], asIs);
  const controller = new AbortController();
  const reason = new Error('enough');
  stopAfter(registry, machine, layer, 1, () => controller.abort(reason));
  await assert.rejects(pull(machine, reference, { signal: controller.signal }), reason);
  assert.deepEqual(await machine.fixture.verify(), []);
  const [part] = await machine.fixture.content.ingests();
  assert.ok(part!.sizeBytes >= partBytes / 2);
  const asked: string[] = [];
  registry.before = (request) => {
    if (request.url?.includes('/blobs/')) asked.push(`${request.url.slice(-64)} ${request.headers.range}`);
    return false;
  };
  await pull(machine, reference);
  assert.deepEqual(
    asked,
    [`${digestOf(layer).slice(7)} bytes=${partBytes}-`],
    'the rest of one layer, and nothing else',
  );
  assert.deepEqual(await machine.fixture.content.ingests(), []);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('it is there for the next process, too', async () => {
  await using registry = await registryFixture();
  await using folder = await temporaryFolder();
  const layer = await randomLayer(5 << 20);
  const reference = await published(registry, 'app:1', [await randomLayer(), layer], asIs);
  const machineOn = async () => {
    const fixture = await transferFixture(folder.path);
    const stores = { ...fixture.stores, registry: registry.client, maxConcurrentDownloads: 3, maxConcurrentUploads: 5 };
    return { stores, fixture, [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose]() };
  };
  {
    await using first = await machineOn();
    const controller = new AbortController();
    stopAfter(registry, first, layer, 1, () => controller.abort());
    await assert.rejects(pull(first, reference, { signal: controller.signal }));
  }
  await using second = await machineOn();
  await second.fixture.metadata.recover();
  const [part] = await second.fixture.content.ingests();
  const asked: (string | undefined)[] = [];
  registry.before = (request) => {
    if (request.url?.includes('/blobs/')) asked.push(request.headers.range);
    return false;
  };
  await pull(second, reference);
  assert.deepEqual(asked, [`bytes=${part!.sizeBytes}-`]);
});

test('a part that was damaged meanwhile is thrown away and fetched anew', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer(5 << 20);
  const reference = await published(registry, 'app:1', [layer], asIs);
  const controller = new AbortController();
  stopAfter(registry, machine, layer, 0, () => controller.abort());
  await assert.rejects(pull(machine, reference, { signal: controller.signal }));
  const [part] = await machine.fixture.content.ingests();
  const path = join(machine.fixture.content.path(digestOf(layer)), '../../../ingest', part!.name);
  const bytes = await readFile(path);
  bytes[bytes.length - 100]! ^= 1;
  await writeFile(path, bytes);
  registry.before = () => false;
  await pull(machine, reference);
  assert.deepEqual(await machine.fixture.content.ingests(), []);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('what was left for another try ends when asked, and once the image is here', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const { content, metadata } = machine.fixture;
  const layer = await randomLayer(5 << 20);
  const reference = await published(registry, 'app:1', [await randomLayer(), layer], asIs);
  const fail = async () => {
    const controller = new AbortController();
    stopAfter(registry, machine, layer, 1, () => controller.abort());
    await assert.rejects(pull(machine, reference, { signal: controller.signal }));
    registry.before = () => false;
  };
  await fail();
  await metadata.collect();
  assert.notDeepEqual(await machine.fixture.contents(), [], 'a collection leaves it alone');
  await metadata.dropLeft();
  await content.removeLeftIngests();
  await metadata.collect();
  await leavesNothing(machine);
  await fail();
  const { id } = await pull(machine, reference);
  await metadata.images.remove(id);
  await metadata.collect();
  await leavesNothing(machine);
});
