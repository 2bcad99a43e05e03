import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import bcrypt from 'bcryptjs';
import { digestOf } from '#oci';
import { serveRegistry } from '#registry-server';
import { curl, debianRegistry, imageSetup, load, type Setup, tarOf, verify } from './images-fixture.ts';

const tokens = { useTokens: true, service: 'test', tokenSeconds: 60 };
const lower = tarOf({ a: 'one', 'd/f': 'x'.repeat(5000) });
const upper = tarOf({ b: 'two' });
const lines = (text: string) => text.split('\n').filter((line) => line !== '');

test("images go to Debian's docker-registry and come back", async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  await using registry = await debianRegistry(setup.folder);
  if (!registry) return t.skip('needs docker-registry (Debian package docker-registry)');
  await thereAndBack(t, setup, registry.address);
});

test('images go to our own registry and come back', async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  await using registry = await serveRegistry({ root: `${setup.folder}/own`, addr: '127.0.0.1:0' });
  await thereAndBack(t, setup, registry.address);
});

test('docker search finds what our own registry has', async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  await using registry = await serveRegistry({ root: `${setup.folder}/own`, addr: '127.0.0.1:0' });
  const { docker } = setup;
  await load(setup, { layers: [lower], tags: ['app:1'] });
  for (const name of ['library/webapp', 'team/webapp', 'team/other']) {
    await docker.ok('tag', 'app:1', `${registry.address}/${name}:1`);
    await docker.ok('push', '-q', `${registry.address}/${name}:1`);
  }
  const about = { method: 'PUT', body: JSON.stringify({ description: 'A web application of the team' }) };
  await fetch(`http://${registry.address}/wherry/registry/repositories/team/webapp`, about);
  await fetch(`http://${registry.address}/wherry/registry/stars/team/webapp`, { method: 'PUT' });
  const find = async (...args: string[]) =>
    lines(await docker.ok('search', '--format', '{{.Name}} {{.StarCount}} {{.IsOfficial}}|', ...args));
  assert.deepEqual(await find(`${registry.address}/webapp`), ['library/webapp 0 [OK]|', 'team/webapp 1 |']);
  assert.deepEqual(await find('--filter', 'is-official=true', `${registry.address}/webapp`), [
    'library/webapp 0 [OK]|',
  ]);
  assert.deepEqual(await find('--filter', 'stars=1', `${registry.address}/app`), ['team/webapp 1 |']);
  assert.deepEqual(await find('--limit', '1', `${registry.address}/webapp`), ['library/webapp 0 [OK]|']);
  assert.match(
    await docker.ok('search', `${registry.address}/application`),
    /team\/webapp +A web application of the team +1/,
  );
});

test('docker login, push and pull at a registry of ours with accounts', async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  const { docker, folder } = setup;
  await writeFile(join(folder, 'htpasswd'), `ann:${bcrypt.hashSync('secret', 4)}\n`);
  const rule = { repositories: ['ann/*'], users: ['ann'], actions: ['pull', 'push'] } as const;
  const open = { repositories: ['ann/open'], users: ['anonymous'], actions: ['pull'] } as const;
  const config = { access: { htpasswd: join(folder, 'htpasswd'), rules: [rule, open], ...tokens } };
  await using registry = await serveRegistry({ root: `${folder}/own`, addr: '127.0.0.1:0', config });
  const names = ['ann/app', 'ann/open', 'bob/app'].map((name) => `${registry.address}/${name}:1`);
  await load(setup, { layers: [lower], tags: names });
  const [own = '', shared = '', foreign = ''] = names;
  assert.match((await docker.run(['push', own])).stderr, /authentication required|unauthorized|denied/);
  const wrong = await docker.run(['login', '-u', 'ann', '--password-stdin', registry.address], { input: 'wrong' });
  assert.match(wrong.stderr, /unauthorized|incorrect username or password/);
  const login = await docker.run(['login', '-u', 'ann', '--password-stdin', registry.address], { input: 'secret' });
  assert.ok(login.stdout.includes('Login Succeeded'), login.stderr);
  for (const name of [own, shared]) await docker.ok('push', '-q', name);
  assert.match((await docker.run(['push', foreign])).stderr, /denied|unauthorized/);
  const found = await docker.ok('search', '--format', '{{.Name}}', `${registry.address}/app`);
  assert.equal(found, 'ann/app\n', 'the login is an identity token by now, and good for a search');
  await docker.ok('logout', registry.address);
  const denied = await docker.run(['push', own]);
  assert.match(denied.stderr, /^denied: requested access to the resource is denied$/m, 'though its layers are known');
  await docker.ok('rmi', own, shared);
  await docker.ok('pull', '-q', shared);
  assert.match((await docker.run(['pull', own])).stderr, /denied|unauthorized|authentication required/);
});

/** Push, delete, pull by tag, by digest and all tags; the digests stay. */
async function thereAndBack(t: TestContext, setup: Setup, address: string): Promise<void> {
  const { docker } = setup;
  const id = await load(setup, { layers: [lower, upper], tags: ['app:1'] });
  const name = `${address}/team/app`;
  await docker.ok('tag', 'app:1', `${name}:1`);
  const pushed = await docker.ok('push', `${name}:1`);
  const digest = /^1: digest: (sha256:[0-9a-f]{64}) size: \d+$/m.exec(pushed)?.[1];
  assert.ok(digest, pushed);
  assert.match(pushed, new RegExp(`^The push refers to repository \\[${name}\\]\n[\\s\\S]*: Pushed\n`));
  assert.match(await docker.ok('push', `${name}:1`), /: Layer already exists\n[\s\S]*1: digest: /);
  assert.equal(await docker.ok('push', '-q', `${name}:1`), `${name}:1\n`);
  await docker.ok('tag', 'app:1', `${name}:2`);
  const both = await docker.ok('push', '-a', name);
  assert.ok(both.includes(`1: digest: ${digest}`) && both.includes(`2: digest: ${digest}`), both);

  const asked = JSON.parse((await curl(setup, 'GET', `/distribution/${name}:1/json`)).body);
  assert.equal(asked.Descriptor.digest, digest);
  assert.deepEqual([asked.Platforms.length, asked.Platforms[0].os], [1, 'linux']);
  // An index, and in it an index: the child is listed and says nothing.
  const child = { mediaType: asked.Descriptor.mediaType, digest, size: asked.Descriptor.size };
  const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json' };
  const platform = { variant: 'v8', os: 'linux', architecture: 'arm64' };
  const [host, ...path] = name.split('/');
  const body = JSON.stringify({ ...index, manifests: [{ ...child, platform }, child] });
  const put = await fetch(`http://${host}/v2/${path.join('/')}/manifests/${digestOf(body)}`, {
    method: 'PUT',
    headers: { 'content-type': index.mediaType },
    body,
  });
  assert.equal(put.status, 201);
  const listed = await curl(setup, 'GET', `/distribution/${name}@${digestOf(body)}/json`);
  const platforms = '"Platforms":[{"architecture":"arm64","os":"linux","variant":"v8"},{"architecture":"","os":""}]';
  assert.ok(listed.body.includes(platforms), listed.body);

  const absent = await curl(setup, 'GET', `/distribution/${name}:none/json`);
  assert.equal(absent.status, 404);
  assert.match(JSON.parse(absent.body).message, /^manifest unknown: /);

  await docker.ok('rmi', 'app:1', `${name}:1`, `${name}:2`);
  assert.equal(await docker.ok('images', '-aq'), '');
  const pulled = await docker.ok('pull', `${name}:1`);
  assert.ok(pulled.startsWith('1: Pulling from team/app\n'), pulled);
  assert.ok(pulled.endsWith(`Digest: ${digest}\nStatus: Downloaded newer image for ${name}:1\n${name}:1\n`), pulled);
  assert.match(await docker.ok('pull', `${name}:1`), /Status: Image is up to date for /);
  assert.equal((await docker.ok('images', '-q', '--no-trunc', `${name}:1`)).trim(), id);
  assert.equal((await docker.ok('image', 'inspect', '-f', '{{index .RepoDigests 0}}', id)).trim(), `${name}@${digest}`);
  await docker.ok('rmi', `${name}:1`);
  assert.equal(await docker.ok('images', '-aq'), '', 'the digest goes with the last tag');

  assert.equal(await docker.ok('pull', '-q', `${name}@${digest}`), `${name}@${digest}\n`);
  assert.match(await docker.ok('images', '--digests', name), new RegExp(`app +<none> +${digest} `));
  await docker.ok('pull', '-qa', name);
  assert.deepEqual(lines(await docker.ok('images', '--format', '{{.Tag}}', name)).sort(), ['1', '2']);
  await refusals(t, setup, name);
  const checked = verify(setup);
  assert.equal(checked.status, 0, checked.output);
}

async function refusals(t: TestContext, { docker }: Setup, name: string): Promise<void> {
  const platform = process.arch === 'arm64' ? 'linux/arm64' : 'linux/amd64';
  const mismatch = `image with reference ${name}:1 was found but its platform (${platform}) does not match the specified platform (linux/s390x)`;
  const cases: [args: string[], message: RegExp][] = [
    [['pull', `${name}:none`], /^Error response from daemon: manifest for .*:none not found: manifest unknown: /],
    [
      ['pull', '127.0.0.1:1/x'],
      /^Error response from daemon: Get "http:\/\/127\.0\.0\.1:1\/v2\/": dial tcp 127\.0\.0\.1:1: connect: connection refused\n$/,
    ],
    [['push', `${name}:none`], /tag does not exist: /],
    [['push', `${name}x`], /An image does not exist locally with the tag: /],
    [['search', '127.0.0.1:1/x'], /connection refused|connect/],
  ];
  if (docker.olderThan(28)) t.diagnostic('this docker CLI has no push --platform: left out');
  else cases.push([['push', '--platform', 'linux/s390x', `${name}:1`], new RegExp(mismatch.replace(/[().]/g, '\\$&'))]);
  for (const [args, message] of cases) {
    const ran = await docker.run(args);
    assert.equal(ran.status, 1, args.join(' '));
    assert.match(ran.stderr, message);
  }
}

test('a registry behind a password: login, push, pull, logout', async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  const expected = `Basic ${Buffer.from('ann:secret').toString('base64')}`;
  await using registry = await serveRegistry({
    root: `${setup.folder}/own`,
    addr: '127.0.0.1:0',
    before(request, response) {
      if (request.headers.authorization === expected) return false;
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="test"', 'Content-Type': 'application/json' });
      response.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
      return true;
    },
  });
  const { docker } = setup;
  const name = `${registry.address}/private:1`;
  await load(setup, { layers: [lower], tags: [name] });
  const anonymous = await docker.run(['push', name]);
  assert.equal(anonymous.status, 1);
  assert.match(anonymous.stderr, /no basic auth credentials|authentication required|unauthorized/);
  const wrong = await docker.run(['login', '-u', 'ann', '--password-stdin', registry.address], { input: 'wrong' });
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /unauthorized|401/i);
  const login = await docker.run(['login', '-u', 'ann', '--password-stdin', registry.address], { input: 'secret' });
  assert.deepEqual([login.status, login.stdout.includes('Login Succeeded')], [0, true], login.stderr);
  await docker.ok('push', '-q', name);
  await docker.ok('rmi', name);
  await docker.ok('pull', '-q', name);
  await docker.ok('logout', registry.address);
  await docker.ok('rmi', name);
  assert.equal((await docker.run(['pull', name])).status, 1);
  assert.equal(setup.daemon.log.includes('secret'), false);
});
