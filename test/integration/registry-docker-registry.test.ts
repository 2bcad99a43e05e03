import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { packTar } from '#archive';
import { openContentStore } from '#content';
import { createLayerIngester } from '#diff';
import { assembleImage } from '#image';
import { openMetadata } from '#metadata';
import { type DiffID, digestOf, hostPlatform, mediaTypes } from '#oci';
import { formatReference, parseReference } from '#reference';
import { createRegistryClient } from '#registry';
import { fromBytes, readAll } from '#streams';
import { temporaryFolder } from '#testing';
import { pullImage, pushImage, type TransferStores } from '#transfer';

/** Debian's docker-registry on a free loopback port. */
async function startRegistry(t: TestContext): Promise<({ address: string } & AsyncDisposable) | undefined> {
  if (spawnSync('docker-registry', ['--version']).error) {
    t.skip('needs docker-registry (Debian package docker-registry)');
    return undefined;
  }
  const folder = await temporaryFolder();
  const port = await freePort();
  const settings = join(folder.path, 'config.yml');
  await writeFile(
    settings,
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${folder.path}/data}, delete: {enabled: true}}\nhttp: {addr: '127.0.0.1:${port}'}\n`,
  );
  const child = spawn('docker-registry', ['serve', settings], { stdio: 'ignore' });
  const address = `127.0.0.1:${port}`;
  for (let tries = 0; tries < 200; tries++) {
    if (
      await fetch(`http://${address}/v2/`).then(
        () => true,
        () => false,
      )
    )
      break;
    await wait(25);
  }
  return {
    address,
    async [Symbol.asyncDispose]() {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

test('docker-registry 2.8 takes and gives what we push', async (t) => {
  await using registry = await startRegistry(t);
  if (!registry) return;
  await using client = createRegistryClient();
  const reference = parseReference(`${registry.address}/team/app:v1`);
  const config = Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}');
  const layer = randomBytes(3 << 20);
  const blobOf = (bytes: Buffer) => ({
    digest: digestOf(bytes),
    sizeBytes: bytes.length,
    open: () => fromBytes(bytes),
  });
  assert.equal(await client.pushBlob(reference, blobOf(config)), 'pushed');
  await client.pushStream(
    reference,
    () => fromBytes(layer.subarray(0, 1000), layer.subarray(1000)),
    () => ({ digest: digestOf(layer), sizeBytes: layer.length }),
  );
  assert.equal(await client.pushBlob(reference, blobOf(layer)), 'exists');
  const other = { ...reference, path: 'team/other' };
  assert.equal(await client.pushBlob(other, blobOf(layer), { mountFrom: ['no/such', 'team/app'] }), 'mounted');
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.dockerManifest,
      config: { mediaType: mediaTypes.dockerConfig, digest: digestOf(config), size: config.length },
      layers: [{ mediaType: mediaTypes.dockerLayerGzip, digest: digestOf(layer), size: layer.length }],
    }),
  );
  const digest = await client.putManifest(reference, { mediaType: mediaTypes.dockerManifest, bytes });
  assert.deepEqual((await client.manifest(reference)).bytes, bytes);
  assert.deepEqual(await client.resolve(reference), {
    mediaType: mediaTypes.dockerManifest,
    digest,
    size: bytes.length,
  });
  const rest = await client.blob(reference, digestOf(layer), { offset: 12345 });
  assert.deepEqual([rest.offset, rest.sizeBytes], [12345, layer.length]);
  assert.deepEqual(await readAll(rest.source, layer.length), layer.subarray(12345));
  await client.putManifest({ ...reference, tag: 'v2' }, { mediaType: mediaTypes.dockerManifest, bytes });
  assert.deepEqual((await Array.fromAsync(client.tags(reference))).sort(), ['v1', 'v2']);
  await assert.rejects(client.manifest({ ...reference, tag: 'nope' }), {
    kind: 'not-found',
    message: `manifest for ${registry.address}/team/app:nope not found: manifest unknown: manifest unknown`,
  });
});

test('push, delete, pull against docker-registry 2.8: equal digests', async (t) => {
  await using registry = await startRegistry(t);
  if (!registry) return;
  await using folder = await temporaryFolder();
  await using client = createRegistryClient();
  const content = await openContentStore({ root: join(folder.path, 'content') });
  await using metadata = await openMetadata({ root: folder.path, content });
  await using layers = createLayerIngester({ content });
  const stores: TransferStores = {
    content,
    metadata,
    layers,
    registry: client,
    snapshots: { unpack: async () => {} } as unknown as TransferStores['snapshots'],
    platform: hostPlatform(),
    maxConcurrentDownloads: 3,
    maxConcurrentUploads: 5,
  };
  const reference = parseReference(`${registry.address}/team/app:v1`);
  const body = randomBytes(2_000_000);
  const layer = await readAll(
    packTar([{ entry: { type: 'file', path: 'data', mode: 0o644, sizeBytes: body.length }, body }]),
    10 << 20,
  );
  const { diffID, sizeBytes } = await layers.ingest(fromBytes(layer));
  const id = await (async () => {
    await using lease = await metadata.lease();
    await lease.add(diffID);
    await metadata.layers.put({ diffID, sizeBytes, createdMs: 0 });
    const config = { ...hostPlatform(), rootfs: { type: 'layers' as const, diff_ids: [diffID as DiffID] } };
    const image = await assembleImage(content, { config, layers: [{ diffID, sizeBytes }] });
    await metadata.images.put(image, [formatReference(reference)]);
    return image.id;
  })();
  const onProgress = () => {};
  const pushed = await pushImage(stores, reference, { onProgress });
  const again = await pushImage(stores, reference, { onProgress });
  assert.deepEqual(again.target, pushed.target);
  await metadata.images.remove(id);
  await metadata.collect();
  assert.equal(await content.stat(diffID), undefined);
  assert.equal((await pullImage(stores, reference, { onProgress })).id, id);
  assert.deepEqual(metadata.images.get(id)?.repoDigests, [`${registry.address}/team/app@${pushed.target.digest}`]);
  assert.deepEqual(await Array.fromAsync(metadata.verify()), []);
});
