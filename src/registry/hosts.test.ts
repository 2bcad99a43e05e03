/** `hosts.toml` of `certs.d`: mirrors of any registry, what each may do, and how it is spoken to. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf, mediaTypes } from '#oci';
import { parseReference } from '#reference';
import { serveRegistry } from '#registry-server';
import { fromBytes, readAll } from '#streams';
import { temporaryFolder } from '#testing';
import { parseHostsFile } from './host-settings.ts';
import { createRegistryClient, type RegistryClient } from './index.ts';

const retry = { attempts: 2, firstDelayMs: 1, maxDelayMs: 5 };
const domain = 'registry.example';
const reference = parseReference(`${domain}/team/app:v1`);

interface Site extends AsyncDisposable {
  readonly address: string;
  readonly seen: IncomingMessage[];
  /** `GET /v2/…`, without pings. */
  lines(): string[];
  close(): Promise<void>;
}

/** A registry on loopback; `prefix` is a path that stands in front of, or for, the `root` of its API. */
async function site(prefix = '', root = ''): Promise<Site> {
  const folder = await temporaryFolder();
  const seen: IncomingMessage[] = [];
  const server = await serveRegistry({
    root: folder.path,
    addr: '127.0.0.1:0',
    before: (request) => {
      seen.push(request);
      request.headers['x-original'] = request.url!;
      if (prefix !== '')
        request.url = request.url!.startsWith(prefix) ? root + request.url!.slice(prefix.length) : '/nowhere';
      return false;
    },
  });
  const close = async () => await server[Symbol.asyncDispose]();
  return {
    address: server.address,
    seen,
    close,
    lines: () =>
      seen
        .map(({ method, headers }) => `${method} ${headers['x-original'] as string}`)
        .filter((line) => !/\/v2\/(\?|$)/.test(line)),
    [Symbol.asyncDispose]: async () => {
      await close().catch(() => {});
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function publish(client: RegistryClient, at = reference, layer = randomBytes(1000)) {
  const config = Buffer.from('{}');
  for (const bytes of [config, layer])
    await client.pushBlob(at, { digest: digestOf(bytes), sizeBytes: bytes.length, open: () => fromBytes(bytes) });
  const describe = (bytes: Buffer, mediaType: string) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const mediaType = mediaTypes.ociManifest;
  const layers = [describe(layer, mediaTypes.ociLayer)];
  const manifest = { schemaVersion: 2, mediaType, config: describe(config, mediaTypes.ociConfig), layers };
  const bytes = Buffer.from(JSON.stringify(manifest));
  return { digest: await client.putManifest(at, { mediaType, bytes }), layer };
}

async function certs() {
  const folder = await temporaryFolder();
  return {
    path: folder.path,
    write: async (text: string, name = domain) => {
      await mkdir(join(folder.path, name), { recursive: true });
      await writeFile(join(folder.path, name, 'hosts.toml'), text);
    },
    remove: (name = domain) => rm(join(folder.path, name), { recursive: true }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

test('a mirror of any registry gives what it may, and its lacks are made up for', async () => {
  await using upstream = await site();
  await using mirror = await site();
  await using folder = await certs();
  await folder.write(`server = "http://${upstream.address}"
[host."http://${mirror.address}"]
capabilities = ["pull"]
[host."http://${mirror.address}".header]
x-team = ["a", "b"]
`);
  await using client = createRegistryClient({ retry, certsDir: folder.path });
  const auth = { username: 'ada', password: 'secret' };
  const { digest, layer } = await publish(client);
  assert.deepEqual(mirror.lines(), [], 'a mirror that may not takes no push');
  // The mirror has the same image, under its own name.
  await publish(client, parseReference(`${mirror.address}/team/app:v1`), layer);
  for (const place of [upstream, mirror]) place.seen.length = 0;
  assert.equal((await client.resolve(reference, { auth })).digest, digest);
  assert.deepEqual(upstream.lines(), [`HEAD /v2/team/app/manifests/v1?ns=${domain}`]);
  const { source } = await client.blob(reference, digestOf(layer), { auth });
  assert.deepEqual(await readAll(source, 2000), layer);
  await client.manifest({ ...reference, digest }, { auth });
  assert.deepEqual(mirror.lines(), [
    `GET /v2/team/app/blobs/${digestOf(layer)}?ns=${domain}`,
    `GET /v2/team/app/manifests/${digest}?ns=${domain}`,
  ]);
  assert.ok(mirror.seen.every(({ headers }) => headers['x-team'] === 'a, b' && !headers.authorization));
  const onlyUpstream = await publish(client, { ...reference, tag: 'v2' });
  const found = await client.blob(reference, digestOf(onlyUpstream.layer));
  assert.deepEqual(await readAll(found.source, 2000), onlyUpstream.layer);
  assert.equal(await client.hasBlob(reference, digestOf(onlyUpstream.layer)), true);
});

test('paths of mirrors count, and may replace the one of the specification', async () => {
  await using upstream = await site();
  await using below = await site('/hub');
  await using whole = await site('/api/cache', '/v2');
  await using folder = await certs();
  const seed = createRegistryClient({ retry });
  const { digest } = await publish(seed, parseReference(`${upstream.address}/team/app:v1`));
  await seed[Symbol.asyncDispose]();
  await folder.write(`server = "http://${upstream.address}"
[host."http://${below.address}/hub"]
[host."http://${whole.address}/api/cache"]
override_path = true
`);
  await using client = createRegistryClient({ retry, certsDir: folder.path });
  assert.equal((await client.resolve(reference)).digest, digest);
  assert.match(below.lines().at(-1)!, /^GET \/hub\/v2\/team\/app\/manifests\/v1\?ns=/);
  assert.match(whole.lines().at(-1)!, /^GET \/api\/cache\/team\/app\/manifests\/v1\?ns=/);
});

test('a host may be behind a proxy of its own, loopback or not', async () => {
  await using upstream = await site();
  await using folder = await certs();
  const asked: string[] = [];
  const proxy = createServer((message, answer) => {
    const url = new URL(message.url!);
    asked.push(url.host);
    const { method, headers } = message;
    const onward = request(url, { method: method!, headers }, (response) => {
      answer.writeHead(response.statusCode!, response.headers);
      response.pipe(answer);
    });
    message.pipe(onward);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = proxy.address() as AddressInfo;
    await folder.write(`server = "http://${upstream.address}"\nproxy = "http://127.0.0.1:${port}"`);
    await using client = createRegistryClient({ retry, certsDir: folder.path });
    await publish(client);
    assert.deepEqual(new Set(asked), new Set([upstream.address]));
  } finally {
    proxy.closeAllConnections();
    proxy.close();
  }
});

test('a push goes to the host that takes it; a file may leave none', async () => {
  await using first = await site();
  await using second = await site();
  await using folder = await certs();
  const file = (capabilities: string) => `server = "http://${first.address}"
capabilities = ["pull", "resolve"]
[host."http://${second.address}"]
capabilities = ${capabilities}
`;
  await folder.write(file('["push", "resolve", "pull"]'));
  await using client = createRegistryClient({ retry, certsDir: folder.path });
  await publish(client);
  assert.deepEqual([first.lines().length, second.lines().length > 0], [0, true]);
  await folder.write(file('["pull"]'));
  await assert.rejects(publish(client), /no host of registry\.example takes pushes by its hosts\.toml/);
});

test('a file is read again without a restart; another speaks for hosts that have none', async () => {
  await using one = await site();
  await using two = await site();
  await using folder = await certs();
  await using client = createRegistryClient({ retry, certsDir: folder.path });
  await folder.write(`server = "http://${one.address}"`, '_default');
  await publish(client);
  await folder.write(`server = "http://${two.address}"`);
  await publish(client);
  assert.ok(one.lines().length > 0 && two.lines().length > 0);
  const seen = one.seen.length;
  await folder.remove();
  await client.resolve(reference);
  assert.ok(one.seen.length > seen);
  await folder.write(`server = "http://${two.address}"`, 'registry.example_5000_');
  const other = parseReference('registry.example:5000/team/app:v1');
  assert.equal((await client.resolve(other)).mediaType, mediaTypes.ociManifest);
});

test('a mirror that is away costs one try, not one per request', async () => {
  await using upstream = await site();
  await using mirror = await site();
  await using folder = await certs();
  await folder.write(
    `server = "http://${upstream.address}"\n[host."http://${mirror.address}"]\ncapabilities = ["pull", "resolve"]\n`,
  );
  await using client = createRegistryClient({ retry, certsDir: folder.path });
  const { digest } = await publish(client);
  await mirror.close();
  assert.equal((await client.resolve(reference)).digest, digest);
  await using revived = await serveRegistry({
    root: join(folder.path, 'r'),
    addr: mirror.address,
    before: () => assert.fail(),
  });
  assert.equal((await client.resolve(reference)).digest, digest);
  assert.equal(revived.address, mirror.address);
});

test('what a file says wrong is said, with its name', async () => {
  await using folder = await certs();
  await using client = createRegistryClient({ retry, certsDir: folder.path });
  const path = join(folder.path, domain, 'hosts.toml');
  const cases: readonly (readonly [string, RegExp])[] = [
    ['server = ', /Invalid TOML document/],
    ['sever = "x"', /sever is not known/],
    ['server = "ftp://x"', /server is not the address of a registry/],
    ['[host."https://m"]\nca = 3', /host\."https:\/\/m"\.ca is not a list of strings/],
    ['capabilities = ["fly"]', /capabilities has an unknown one, fly/],
    ['proxy = "socks4://p:1"', /proxy is not the address of an HTTP or SOCKS5 proxy/],
    ['dial_timeout = "soon"', /dial_timeout is not a duration/],
    ['[header]\n"a b" = "c"', /header\.a b is no header/],
    ['[host."https://m"]\nserver = "x"', /host\."https:\/\/m"\.server is not known/],
  ];
  for (const [text, words] of cases) {
    await folder.write(text);
    await assert.rejects(client.resolve(reference), (error: Error) => {
      assert.match(error.message, words);
      assert.ok(error.message.startsWith(`${path}: `), error.message);
      return true;
    });
  }
  const parsed = await parseHostsFile('/c/x/hosts.toml', 'client = [["a.cert", "a.key"], "/b.pem"]\nca = "ca.crt"');
  assert.deepEqual(parsed.own.clients, [
    ['/c/x/a.cert', '/c/x/a.key'],
    ['/b.pem', undefined],
  ]);
  assert.deepEqual(parsed.own.ca, ['/c/x/ca.crt']);
});
