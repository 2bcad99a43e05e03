import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Call, codeOf, pushImage, withServer } from '../testsuite/fixture.ts';

const find = async (call: Call, query: string) => JSON.parse((await call('GET', `/v1/search?${query}`)).text);

test('the v1 API answers its ping and searches as Docker asks', () =>
  withServer(async ({ call }) => {
    assert.deepEqual(JSON.parse((await call('GET', '/v1/_ping')).text), { standalone: true });
    await pushImage(call, 'library/web', '1', {
      annotations: { 'org.opencontainers.image.description': 'A  web\nserver' },
    });
    await pushImage(call, 'team/web-tools', '1', {
      config: JSON.stringify({ rootfs: { type: 'layers', diff_ids: [] }, config: { Labels: { maintainer: 'Grace' } } }),
    });
    const found = await find(call, 'q=web&n=25');
    assert.deepEqual([found.query, found.num_results, found.num_pages], ['web', 2, 1]);
    assert.deepEqual(found.results[0], {
      name: 'library/web',
      description: 'A web server',
      star_count: 0,
      is_official: true,
      is_automated: false,
      is_trusted: false,
      pull_count: 0,
    });
    assert.equal((await find(call, 'q=grace')).results[0].name, 'team/web-tools');
    const second = await find(call, 'q=web&n=1&page=2');
    assert.deepEqual([second.num_pages, second.results[0].name], [2, 'team/web-tools']);
    assert.equal((await call('GET', '/v1/search?q=web&n=x')).status, 400);
  }));

test('a repository is described, starred and counted', () =>
  withServer(async ({ call }) => {
    const { digest } = await pushImage(call, 'team/app', '1');
    const path = '/wherry/registry/repositories/team/app';
    const put = (body: unknown) => call('PUT', path, { body: JSON.stringify(body) });
    assert.equal((await put({ description: 'Mine', readme: '# App' })).status, 204);
    assert.equal((await put({ descriptoin: 'x' })).status, 400);
    assert.equal((await call('PUT', '/wherry/registry/stars/team/app')).status, 204);
    for (const reference of ['1', digest]) await call('GET', `/v2/team/app/manifests/${reference}`);
    await call('HEAD', '/v2/team/app/manifests/1');
    const entry = async () => JSON.parse((await call('GET', path)).text);
    // Pulls are written down now and then.
    while ((await entry()).pulls === 0) await new Promise((resolve) => setTimeout(resolve, 100));
    const { created, pushed, ...rest } = await entry();
    assert.ok(created <= pushed);
    const words = { name: 'team/app', description: 'Mine', readme: '# App' };
    assert.deepEqual(rest, { ...words, isOfficial: false, stars: 1, pulls: 2, isStarred: true });
    await call('DELETE', '/wherry/registry/stars/team/app');
    assert.equal((await entry()).stars, 0);
    assert.equal(codeOf(await call('GET', '/wherry/registry/repositories/team/none')), 'NAME_UNKNOWN');
  }));

test('what was deleted can be listed and taken back', () =>
  withServer(async ({ call }) => {
    const { digest } = await pushImage(call, 'app', 'v1');
    await call('DELETE', `/v2/app/manifests/${digest}`);
    assert.equal((await call('GET', '/v2/app/manifests/v1')).status, 404);
    const { deleted } = JSON.parse((await call('GET', '/wherry/registry/deleted?repository=app')).text);
    assert.deepEqual(
      deleted.map(({ kind, reference }: { kind: string; reference: string }) => [kind, reference]),
      [
        ['manifest', digest],
        ['tag', 'v1'],
      ],
    );
    assert.ok(deleted[0].deleted < deleted[0].restorableUntil);
    const restore = (body: object) => call('POST', '/wherry/registry/restore', { body: JSON.stringify(body) });
    const what = { repository: 'app', kind: 'manifest', reference: digest };
    assert.equal((await restore(what)).status, 204);
    assert.equal((await call('GET', '/v2/app/manifests/v1')).status, 200);
    assert.equal((await restore(what)).status, 404);
    assert.equal((await restore({ ...what, kind: 'other' })).status, 400);
  }));
