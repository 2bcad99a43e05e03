import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { parsePlatform } from '#oci';
import { deleteRemote, hubRepository, inspectRemote, listTags, scrubRegistry, searchRemote } from './index.ts';
import { publishImage, publishIndex, testRegistry } from './testsuite.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const arm = { os: 'linux', architecture: 'arm', variant: 'v7' };
const windows = { os: 'windows', architecture: 'amd64', 'os.version': '10.0.20348.1' };

function refuse(response: ServerResponse, status: number, code: string): true {
  const body = JSON.stringify({ errors: [{ code, message: 'said the test' }] });
  response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  return true;
}

test('an index is looked into without a layer being fetched', async () => {
  await using hub = await testRegistry();
  const reference = hub.reference('team/app:1');
  const shared = randomBytes(5000);
  const children = [];
  for (const platform of [arm, amd64, windows])
    children.push(
      await publishImage(hub, hub.reference('team/app:x'), { platform, layers: [shared, randomBytes(7000)] }),
    );
  const attestation = {
    ...(await publishImage(hub, hub.reference('team/app:y'))),
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
  };
  const index = await publishIndex(hub, reference, [...children, attestation]);
  hub.requests.length = 0;
  const found = await inspectRemote(hub.call, reference, { platform: parsePlatform('linux/amd64') });
  assert.equal(found.Digest, index.digest);
  assert.deepEqual(
    found.Platforms.map(({ Platform, Layers }) => [Platform, Layers]),
    [
      ['linux/arm/v7', 2],
      ['linux/amd64', 2],
      ['windows(10.0.20348.1)/amd64', 2],
    ],
  );
  assert.equal(found.Attestations, 1);
  assert.equal(found.Image.Digest, children[1]!.digest);
  assert.deepEqual(found.Image.Config, { Env: ['A=1'], Labels: { who: 'me' } });
  const sizes = found.Platforms.map(({ Size }) => Size);
  assert.equal(found.Size, sizes.reduce((sum, size) => sum + size, 0) - 2 * shared.length, 'a shared layer once');
  assert.equal(found.Image.Size, found.Platforms[1]!.Size);
  assert.equal(hub.requests.filter((line) => line.includes('/blobs/')).length, 1, 'the config alone');
  const other = await inspectRemote(hub.call, reference, { platform: parsePlatform('windows/amd64') });
  assert.equal(other.Image.Platform, 'windows(10.0.20348.1)/amd64');
  await assert.rejects(
    inspectRemote(hub.call, reference, { platform: parsePlatform('linux/s390x') }),
    /no matching manifest for linux\/s390x/,
  );
});

test('tags are listed with what they point to', async () => {
  await using hub = await testRegistry();
  const layers = [randomBytes(100)];
  const { digest } = await publishImage(hub, hub.reference('app:a'), { layers });
  await publishImage(hub, hub.reference('app:b'), { layers });
  assert.deepEqual(await listTags(hub.call, hub.reference('app')), [{ tag: 'a' }, { tag: 'b' }]);
  const digests = await listTags(hub.call, hub.reference('app'), { digests: true });
  assert.deepEqual(digests, [
    { tag: 'a', digest },
    { tag: 'b', digest },
  ]);
  await assert.rejects(listTags(hub.call, hub.reference('nothing')), /repository \S+\/nothing not found/);
});

test('a tag is deleted alone where the registry can, and never takes another one with it unasked', async () => {
  await using hub = await testRegistry();
  const layers = [randomBytes(100)];
  for (const name of ['app:a', 'app:b', 'app:c']) await publishImage(hub, hub.reference(name), { layers });
  const first = await deleteRemote(hub.call, hub.reference('app:a'));
  assert.deepEqual([first.tags, first.isUntagged], [['a'], true]);
  assert.deepEqual(await listTags(hub.call, hub.reference('app')), [{ tag: 'b' }, { tag: 'c' }]);
  hub.before = (request, response) =>
    request.method === 'DELETE' && !request.url!.includes('sha256') && refuse(response, 405, 'UNSUPPORTED');
  await assert.rejects(deleteRemote(hub.call, hub.reference('app:b')), /this one is also c; --all-tags deletes them/);
  assert.equal((await listTags(hub.call, hub.reference('app'))).length, 2);
  const both = await deleteRemote(hub.call, hub.reference('app:b'), { allTags: true });
  assert.deepEqual([both.tags, both.isUntagged], [['b', 'c'], false]);
  await assert.rejects(hub.call.registry.resolve({ ...hub.reference('app'), digest: both.digest }), /not found/);
  await publishImage(hub, hub.reference('app:last'), { layers });
  const last = await deleteRemote(hub.call, hub.reference('app:last'));
  assert.deepEqual(last.tags, ['last'], 'the only tag of its image needs no leave');
  hub.before = (request, response) => request.method === 'DELETE' && refuse(response, 405, 'UNSUPPORTED');
  const { digest } = await publishImage(hub, hub.reference('app:kept'), { layers });
  await assert.rejects(
    deleteRemote(hub.call, { ...hub.reference('app'), digest }),
    /the registry does not allow deletes/,
  );
});

test('a search looks through names where a registry has no search', async () => {
  await using hub = await testRegistry();
  for (const name of ['team/node-app:1', 'node:1', 'other:1']) await publishImage(hub, hub.reference(name));
  hub.before = (request, response) => request.url!.startsWith('/v1/') && refuse(response, 404, 'UNSUPPORTED');
  const names = async (term: string, options = {}) =>
    (await searchRemote(hub.call, `${hub.address}/${term}`, options)).map(({ name }) => name);
  assert.deepEqual(await names('NODE'), ['node', 'team/node-app']);
  assert.deepEqual(await names('node', { limit: 1 }), ['node']);
  assert.deepEqual(await names('node', { minStars: 1 }), []);
  hub.before = (request, response) => !request.url!.startsWith('/v2/?') && refuse(response, 404, 'UNSUPPORTED');
  await assert.rejects(names('node'), /has no search .* and does not tell its repositories/);
  await assert.rejects(names('node', { limit: 101 }), /limit 101 is outside the range of \[1, 100\]/);
});

test('a search is filtered by stars and origin', async () => {
  await using hub = await testRegistry();
  const results = [
    { name: 'a', description: 'first', star_count: 5, is_official: true, is_automated: false },
    { name: 'b', description: 'second', star_count: 50, is_official: false, is_automated: true },
  ];
  hub.before = (request, response) => {
    if (!request.url!.startsWith('/v1/search')) return false;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ results }));
    return true;
  };
  const names = async (options: object) =>
    (await searchRemote(hub.call, `${hub.address}/x`, options)).map(({ name }) => name);
  assert.deepEqual(await names({}), ['a', 'b']);
  assert.deepEqual(await names({ isOfficial: true }), ['a']);
  assert.deepEqual(await names({ isAutomated: false }), ['a']);
  assert.deepEqual(await names({ minStars: 6 }), ['b']);
});

test('a registry that is not of Wherry says so where it cannot do what is asked', async () => {
  await using registry = await testRegistry();
  registry.before = (request, response) => {
    if (!request.url?.startsWith('/wherry/')) return false;
    response.writeHead(404, { 'Content-Type': 'text/plain' }).end('404 page not found\n');
    return true;
  };
  const other = { kind: 'not-implemented', message: /is no registry of Wherry's/ };
  await assert.rejects(hubRepository(registry.call, registry.reference('app')), other);
  await assert.rejects(scrubRegistry(registry.call, registry.address), other);
});
