import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Descriptor, mediaTypes } from '#oci';
import { composeParts, indexParts, pushIndex, writeIndex } from './index.ts';
import { publishImage, publishIndex, testRegistry } from './testsuite.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const arm = { os: 'linux', architecture: 'arm', variant: 'v6' };

test('an index is put together from images of several repositories and registries', async () => {
  await using hub = await testRegistry();
  await using other = await testRegistry();
  const first = await publishImage(hub, hub.reference('one:1'), { platform: amd64 });
  const second = await publishImage(other, other.reference('two:1'), { platform: arm });
  const parts = [
    ...(await indexParts(hub.call, hub.reference('one:1'))),
    ...(await indexParts(other.call, other.reference('two:1'))),
  ];
  assert.deepEqual(
    parts.map(({ descriptor }) => descriptor.platform),
    [amd64, arm],
  );
  const target = hub.reference('all:1');
  const callFor = (from: { domain: string }) => (from.domain === hub.address ? hub.call : other.call);
  const annotations = { 'org.example.by': 'the test' };
  const pushed = await pushIndex(hub.call, target, composeParts(parts), { callFor, annotations });
  const { bytes, descriptor } = await hub.call.registry.manifest(target);
  assert.equal(descriptor.digest, pushed.digest);
  const index = JSON.parse(bytes.toString()) as { manifests: Descriptor[]; annotations: object };
  assert.deepEqual(index.annotations, annotations);
  for (const { digest } of [first, second])
    assert.equal((await hub.call.registry.resolve({ ...hub.reference('all'), digest })).digest, digest);
});

test('a later image takes the place of an earlier one for its platform, with what is said about it', async () => {
  await using hub = await testRegistry();
  const [old, next, beside] = [
    await publishImage(hub, hub.reference('app:old'), { platform: amd64 }),
    await publishImage(hub, hub.reference('app:next'), { platform: amd64 }),
    await publishImage(hub, hub.reference('app:arm'), { platform: arm }),
  ];
  const about = (image: Descriptor, statement: Descriptor): Descriptor => ({
    ...statement,
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': image.digest,
    },
  });
  const statements = [
    await publishImage(hub, hub.reference('app:s1')),
    await publishImage(hub, hub.reference('app:s2')),
  ];
  await publishIndex(hub, hub.reference('app:many'), [
    old!,
    beside!,
    about(old!, statements[0]!),
    about(beside!, statements[1]!),
  ]);
  const parts = composeParts([
    ...(await indexParts(hub.call, hub.reference('app:many'))),
    ...(await indexParts(hub.call, hub.reference('app:next'))),
  ]);
  assert.deepEqual(
    parts.map(({ descriptor }) => descriptor.digest),
    [next!.digest, beside!.digest, statements[1]!.digest],
  );
});

test("images of Docker's family make a list of Docker's", () => {
  const part = (mediaType: string) => ({
    descriptor: { mediaType, digest: `sha256:${'a'.repeat(64)}` as Descriptor['digest'], size: 1 },
    from: { domain: 'r.example', path: 'a' },
  });
  assert.equal(writeIndex([part(mediaTypes.dockerManifest)]).descriptor.mediaType, mediaTypes.dockerManifestList);
  const mixed = [part(mediaTypes.dockerManifest), part(mediaTypes.ociManifest)];
  assert.equal(writeIndex(mixed).descriptor.mediaType, mediaTypes.ociIndex);
});
