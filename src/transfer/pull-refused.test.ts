/** Images that are not what they say they are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '#errdefs';
import { digestOf, mediaTypes } from '#oci';
import { configFor, randomLayer } from './testsuite-load.ts';
import { asIs, leavesNothing, publish, published, pull, registryFixture } from './testsuite-registry.ts';

test('bytes that are not what the digest says are refused, and nothing stays', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layers = [await randomLayer(), await randomLayer()];
  const reference = registry.reference('app:1');
  const { blobs } = await publish(registry.client, reference, layers, asIs);
  registry.before = (request, response) => {
    if (request.method !== 'GET' || !request.url?.includes(blobs[1]!)) return false;
    const wrong = Buffer.from(layers[1]!);
    wrong[wrong.length - 2000]! ^= 1;
    response.writeHead(200, { 'content-length': wrong.length }).end(wrong);
    return true;
  };
  await assert.rejects(pull(machine, reference), (error: Error) => {
    assert.ok(isKind(error, 'data-loss'));
    assert.match(error.message, new RegExp(`^filesystem layer verification failed for digest ${blobs[1]}`));
    return true;
  });
  await leavesNothing(machine);
});

test('layers and configs that do not belong together are refused', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layers = [await randomLayer()];
  const lying = configFor([await randomLayer()]);
  await assert.rejects(pull(machine, await published(registry, 'lie:1', layers, { config: lying })), {
    kind: 'data-loss',
  });
  const short = configFor([...layers, ...layers]);
  await assert.rejects(pull(machine, await published(registry, 'short:1', layers, { config: short })), {
    kind: 'invalid-argument',
    message: 'invalid manifest, layers length mismatch: expected 1, got 2',
  });
  const windows = configFor(layers, { os: 'windows', architecture: 'amd64' });
  await assert.rejects(pull(machine, await published(registry, 'win:1', layers, { config: windows })), {
    message: 'image operating system "windows" cannot be used on this platform: operating system is not supported',
  });
  await assert.rejects(pull(machine, await published(registry, 'junk:1', layers, { config: Buffer.from('{') })), {
    kind: 'invalid-argument',
  });
  await leavesNothing(machine);
});

test('what is no image is refused', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const reference = registry.reference('chart:1');
  const config = Buffer.from('{}');
  await publish(registry.client, reference, [], { config });
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: 'application/vnd.cncf.helm.config.v1+json', digest: digestOf(config), size: config.length },
      layers: [],
    }),
  );
  await registry.client.putManifest(reference, { mediaType: mediaTypes.ociManifest, bytes });
  await assert.rejects(pull(machine, reference), {
    message: 'unsupported media type application/vnd.cncf.helm.config.v1+json',
  });
  const scratch = { domain: 'docker.io', path: 'library/scratch', tag: 'x' };
  await assert.rejects(pull(machine, scratch), { kind: 'permission-denied', message: "'scratch' is a reserved name" });
  await assert.rejects(pull(machine, registry.reference('chart:none')), {
    kind: 'not-found',
    message: `manifest for ${registry.address}/chart:none not found: manifest unknown: manifest unknown`,
  });
  await leavesNothing(machine);
});
