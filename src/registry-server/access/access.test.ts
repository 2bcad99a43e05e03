import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import bcrypt from 'bcryptjs';
import { digestOf } from '#oci';
import { temporaryFolder } from '#testing';
import { decodeConfig } from '../config/config.ts';
import { type RegistryConfig, serveRegistry } from '../index.ts';
import { type Call, callTo, codeOf, pushBlob, pushImage, type Reply } from '../testsuite/fixture.ts';
import { Htpasswd } from './htpasswd.ts';
import { Policy } from './policy.ts';
import { RateLimiter } from './rate-limiter.ts';
import { parseScopes, TokenMint } from './tokens.ts';

const line = (user: string, password: string) => `${user}:${bcrypt.hashSync(password, 4)}\n`;
const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

const rules = [
  { repositories: ['*'], users: ['admin'], actions: ['pull', 'push', 'delete'] },
  { repositories: ['{user}/*', 'team/*'], users: ['*'], actions: ['pull', 'push'] },
  { repositories: ['public/*'], users: ['anonymous'], actions: ['pull'] },
];

interface Guarded {
  readonly as: (user?: string) => Call;
  readonly htpasswd: string;
  readonly folder: string;
}

async function guarded(more: object, body: (parts: Guarded) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  const htpasswd = join(folder.path, 'htpasswd');
  await writeFile(htpasswd, `# people\n${['admin', 'ada', 'bob'].map((user) => line(user, `${user}!`)).join('')}`);
  const config = decodeConfig(
    { access: { htpasswd: 'htpasswd', rules }, ...more },
    { what: 'config', folder: folder.path },
  );
  await using server = await serveRegistry({ root: join(folder.path, 'data'), addr: '127.0.0.1:0', config });
  const as = (user?: string) => callTo(server, user === undefined ? {} : basic(user, `${user}!`));
  await body({ as, htpasswd, folder: folder.path });
}

test('who has no name is told where to get a token, and gets one', () =>
  guarded({}, async ({ as }) => {
    const refused = await as()('GET', '/v2/');
    assert.deepEqual([refused.status, codeOf(refused)], [401, 'UNAUTHORIZED']);
    const challenge = refused.headers.get('www-authenticate') ?? '';
    const realm = /^Bearer realm="(http:[^"]+)",service="wherry-registry"$/.exec(challenge)?.[1];
    assert.ok(realm, challenge);
    const scope = 'repository:ada/app:pull,push repository:bob/app:pull';
    const token = await as('ada')('GET', `${realm}?service=wherry-registry&scope=${encodeURIComponent(scope)}`);
    const { token: bearer, access_token, expires_in } = JSON.parse(token.text);
    assert.deepEqual([bearer === access_token, expires_in], [true, 300]);
    const withToken: Call = (method, path, options) =>
      as()(method, path, { ...options, headers: { ...options?.headers, authorization: `Bearer ${bearer}` } });
    assert.equal((await withToken('GET', '/v2/')).status, 200);
    await pushImage(withToken, 'ada/app', 'v1');
    assert.equal((await withToken('GET', '/v2/ada/app/manifests/v1')).status, 200);
    const other = await withToken('POST', '/v2/team/app/blobs/uploads/');
    assert.equal(other.status, 401, 'the token is for something else');
    assert.match(other.headers.get('www-authenticate') ?? '', /scope="repository:team\/app:pull,push"/);
    assert.equal((await withToken('GET', '/v2/bob/app/manifests/v1')).status, 403, 'and the user may not');
    const nobodys = JSON.parse((await as()('GET', `${realm}?scope=repository:ada/app:pull`)).text).token;
    const denied = await as()('GET', '/v2/ada/app/manifests/v1', { headers: { authorization: `Bearer ${nobodys}` } });
    assert.deepEqual([denied.status, codeOf(denied)], [401, 'DENIED'], 'an anonymous token that opens nothing');
    const forged = `${bearer.slice(0, -4)}AAAA`;
    assert.equal((await as()('GET', '/v2/', { headers: { authorization: `Bearer ${forged}` } })).status, 401);
    assert.equal((await callWith(as(), 'ada', 'wrong')).status, 401);
  }));

const callWith = (call: Call, user: string, password: string): Promise<Reply> =>
  call('GET', '/v2/', { headers: basic(user, password) });

test('OAuth 2 by password, and by the token that it gives', () =>
  guarded({}, async ({ as, htpasswd }) => {
    const ask = (fields: Record<string, string>) =>
      as()('POST', '/wherry/registry/token', { body: new URLSearchParams(fields).toString() });
    const scope = 'repository:team/app:pull,push';
    const asked = { grant_type: 'password', username: 'ada', password: 'ada!', access_type: 'offline', scope };
    const { refresh_token } = JSON.parse((await ask(asked)).text);
    const again = await ask({ grant_type: 'refresh_token', refresh_token, scope });
    const { access_token } = JSON.parse(again.text);
    const headers = { authorization: `Bearer ${access_token}` };
    assert.equal((await as()('POST', '/v2/team/app/blobs/uploads/', { headers })).status, 202);
    const misused = { headers: { authorization: `Bearer ${refresh_token}` } };
    assert.equal((await as()('GET', '/v2/', misused)).status, 401, 'a refresh token opens nothing');
    assert.equal((await ask({ ...asked, password: 'no' })).status, 401);
    assert.equal((await ask({ grant_type: 'magic' })).status, 400);
    await writeFile(htpasswd, line('admin', 'admin!'));
    await new Promise((resolve) => setTimeout(resolve, 1100));
    assert.equal((await as()('POST', '/v2/team/app/blobs/uploads/', { headers })).status, 401, 'a user who is gone');
    assert.equal((await ask({ grant_type: 'refresh_token', refresh_token, scope })).status, 401);
  }));

test('rules say who may read, write and delete what, and see it at all', () =>
  guarded({}, async ({ as }) => {
    for (const name of ['ada/app', 'bob/app', 'team/app', 'public/app']) await pushImage(as('admin'), name, 'v1');
    const status = async (user: string | undefined, method: string, path: string) =>
      (await as(user)(method, path)).status;
    assert.equal(await status('ada', 'GET', '/v2/ada/app/manifests/v1'), 200);
    assert.equal(await status('ada', 'GET', '/v2/bob/app/manifests/v1'), 403);
    assert.equal(await status('ada', 'GET', '/v2/team/app/manifests/v1'), 200);
    assert.equal(await status('ada', 'DELETE', '/v2/team/app/manifests/v1'), 403);
    assert.equal(await status(undefined, 'GET', '/v2/public/app/manifests/v1'), 200, 'anonymous pull');
    assert.equal(await status(undefined, 'POST', '/v2/public/app/blobs/uploads/'), 401);
    assert.equal(await status(undefined, 'GET', '/v2/team/app/manifests/v1'), 401);
    const catalog = async (user?: string) =>
      JSON.parse((await as(user)('GET', '/v2/_catalog')).text).repositories as string[];
    assert.deepEqual(await catalog('ada'), ['ada/app', 'public/app', 'team/app']);
    const unnamed = await as()('GET', '/v2/_catalog');
    const challenge = unnamed.headers.get('www-authenticate') ?? '';
    assert.equal(unnamed.status, 401, 'a client with credentials shows them when it is asked to');
    assert.match(challenge, /,scope="registry:catalog:\*"$/);
    const realm = /realm="([^"]+)"/.exec(challenge)![1]!;
    const { token } = JSON.parse((await as()('GET', `${realm}?scope=registry:catalog:*`)).text);
    const headers = { authorization: `Bearer ${token}` };
    const open = JSON.parse((await as()('GET', '/v2/_catalog', { headers })).text);
    assert.deepEqual(open.repositories, ['public/app'], 'who has none gets a token all the same');
    const paged = await as('ada')('GET', '/v2/_catalog?n=2');
    assert.deepEqual(JSON.parse(paged.text).repositories, ['ada/app', 'public/app']);
    assert.match(paged.headers.get('link') ?? '', /last=public%2Fapp/);
    const found = JSON.parse((await as('bob')('GET', '/v1/search?q=app')).text).results as { name: string }[];
    assert.deepEqual(found.map(({ name }) => name).sort(), ['bob/app', 'public/app', 'team/app']);
    assert.ok(!(await as()('GET', '/')).text.includes('team/app'));
    assert.equal((await as()('GET', '/r/team/app')).status, 404);
    assert.equal((await as('ada')('GET', '/r/team/app')).status, 200);
    assert.match((await as()('GET', '/login')).headers.get('www-authenticate') ?? '', /^Basic /);
    assert.equal((await as('ada')('PUT', '/wherry/registry/repositories/public/app', { body: '{}' })).status, 403);
  }));

test('a blob is mounted only from what the client may read', () =>
  guarded({}, async ({ as }) => {
    const digest = await pushBlob(as('bob'), 'bob/secret', 'secret');
    for (const from of ['&from=bob/secret', '']) {
      assert.equal((await as('ada')('POST', `/v2/ada/app/blobs/uploads/?mount=${digest}${from}`)).status, 202);
    }
    const scope = encodeURIComponent('repository:admin/app:pull,push');
    const { token } = JSON.parse((await as('admin')('GET', `/wherry/registry/token?scope=${scope}`)).text);
    const headers = { authorization: `Bearer ${token}` };
    assert.equal((await as()('POST', `/v2/admin/app/blobs/uploads/?mount=${digest}`, { headers })).status, 201);
    assert.equal((await as('admin')('POST', `/v2/ada/app/blobs/uploads/?mount=${digest}`)).status, 201);
    assert.equal((await as('ada')('GET', `/v2/ada/app/blobs/${digestOf('secret')}`)).text, 'secret');
  }));

test('too many requests and too large bodies are refused, with when to come back', () =>
  guarded({ rateLimit: { requestsPerSecond: 0.5, burst: 3 }, limits: { maxBlobBytes: 10 } }, async ({ as }) => {
    const begun = await as('ada')('POST', '/v2/ada/app/blobs/uploads/');
    const put = await as('ada')('PUT', `${begun.headers.get('location')}?digest=${digestOf('x'.repeat(11))}`, {
      body: 'x'.repeat(11),
    });
    assert.deepEqual([put.status, codeOf(put)], [413, 'SIZE_INVALID']);
    await as('ada')('GET', '/v2/');
    const refused = await as('ada')('GET', '/v2/');
    assert.deepEqual([refused.status, codeOf(refused)], [429, 'TOOMANYREQUESTS']);
    assert.equal(refused.headers.get('retry-after'), '2');
    assert.equal((await as('bob')('GET', '/v2/')).status, 200, 'others are not kept waiting');
  }));

test('changes, pulls and refusals are written down', () =>
  guarded({ auditLog: 'audit.log' }, async ({ as, folder }) => {
    const { digest } = await pushImage(as('ada'), 'ada/app', 'v1');
    await as('ada')('GET', '/v2/ada/app/manifests/v1');
    await as('bob')('GET', '/v2/ada/app/manifests/v1');
    await callWith(as(), 'ada', 'wrong');
    await as('admin')('DELETE', `/v2/ada/app/manifests/${digest}`);
    let entries: string[][] = [];
    for (let tries = 0; tries < 100 && entries.length < 5; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      const lines = (await readFile(join(folder, 'audit.log'), 'utf8')).trim().split('\n');
      entries = lines.map((text) => {
        const { user, action, repository, reference, status } = JSON.parse(text);
        return [user, action, repository, reference, status];
      });
    }
    assert.deepEqual(entries, [
      ['ada', 'push', 'ada/app', 'v1', 201],
      ['ada', 'pull', 'ada/app', 'v1', 200],
      ['bob', 'pull', 'ada/app', 'v1', 403],
      [null, 'other', undefined, undefined, 401],
      ['admin', 'delete', 'ada/app', digest, 202],
    ]);
  }));

test('passwords are bcrypt, and read again when they change', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'htpasswd');
  await writeFile(path, 'ada:{SHA}xyz\n');
  await assert.rejects(Htpasswd.open(path), { kind: 'invalid-argument', message: /htpasswd:1: / });
  await writeFile(path, line('ada', 'one').replace('$2b$', '$2y$'));
  await using passwords = await Htpasswd.open(path);
  const right = async (user: string, password: string) => await passwords.isRight(user, password);
  assert.deepEqual(
    [await right('ada', 'one'), await right('ada', 'two'), await right('bob', 'one')],
    [true, false, false],
  );
  await writeFile(path, line('ada', 'two') + line('bob', 'one'));
  await new Promise((resolve) => setTimeout(resolve, 1100));
  assert.deepEqual(
    [await right('ada', 'one'), await right('ada', 'two'), await right('bob', 'one')],
    [false, true, true],
  );
});

test('patterns, scopes, tokens and buckets', () => {
  const policy = new Policy([{ repositories: ['a.b/*', '{user}'], users: ['*'], actions: ['pull'] }]);
  const may = (user: string | undefined, name: string) => policy.may(user, 'pull', name);
  assert.deepEqual(
    [may('u', 'a.b/c/d'), may('u', 'axb/c'), may('u', 'u'), may(undefined, 'a.b/c')],
    [true, false, true, false],
  );
  assert.deepEqual(parseScopes(['repository(plugin):h:5/a:pull,push registry:catalog:*', 'nonsense']), [
    { type: 'repository', name: 'h:5/a', actions: ['pull', 'push'] },
    { type: 'registry', name: 'catalog', actions: ['*'] },
  ]);
  const mint = new TokenMint(Buffer.alloc(32));
  const token = mint.sign({ sub: 'ada', aud: 's', access: [], use: 'access' }, { nowMs: 0, lifetimeSeconds: 60 });
  const check = (nowMs: number, audience = 's', by = mint) => by.verify(token, { nowMs, audience, use: 'access' })?.sub;
  assert.deepEqual([check(59_000), check(61_000), check(0, 'other')], ['ada', undefined, undefined]);
  assert.equal(check(0, 's', new TokenMint(Buffer.alloc(32, 1))), undefined);
  const limiter = new RateLimiter({ perSecond: 2, burst: 2 });
  assert.deepEqual(
    [0, 0, 0, 400, 600].map((nowMs) => limiter.take('c', nowMs)),
    [0, 0, 1, 1, 0],
  );
});

test('a configuration is refused by what is wrong in it', () => {
  const decode = (value: unknown): RegistryConfig => decodeConfig(value, { what: 'file', folder: '/etc' });
  assert.deepEqual(decode({ tls: { cert: 'c.pem', key: '/k.pem' } }), { tls: { cert: '/etc/c.pem', key: '/k.pem' } });
  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [[], /read file: want an object/],
    [{ acess: {} }, /unknown field "acess"/],
    [{ tls: { cert: 'x' } }, /read file tls: key is missing/],
    [{ access: { rules: [{ repositories: ['*'], users: ['ada'], actions: ['pull'] }] } }, /no htpasswd/],
    [
      { access: { rules: [{ repositories: ['*'], users: ['anonymous'], actions: ['pul'] }] } },
      /rules\[0\]: unknown action "pul"/,
    ],
    [{ limits: { maxBlobBytes: -1 } }, /maxBlobBytes: want a number/],
    [{ rateLimit: { requestsPerSecond: 0 } }, /is zero/],
  ];
  for (const [value, message] of wrong) assert.throws(() => decode(value), { kind: 'invalid-argument', message });
});
