/** How the daemon gets to registries: through proxies, and how often it tries. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { serveRegistry } from '#registry-server';
import { temporaryFolder } from '#testing';
import { imageSetup, load, tarOf } from './images-fixture.ts';

const layers = [tarOf({ a: 'one' })];

/** Knows one host, by any port that is not TLS's, and notes who asks for what. */
async function proxyTo(registry: string) {
  const seen: { host: string; authorization: string | undefined }[] = [];
  const proxy = createServer((asked, answer) => {
    const url = new URL(asked.url ?? '');
    seen.push({ host: url.host, authorization: asked.headers['proxy-authorization'] });
    const onward = request(`http://${registry}${url.pathname}${url.search}`, {
      method: asked.method,
      headers: { ...asked.headers, host: url.host },
    });
    onward.on('response', (answered) => {
      answer.writeHead(answered.statusCode ?? 502, answered.headers);
      answered.pipe(answer);
    });
    asked.pipe(onward);
  });
  proxy.on('connect', (asked, socket) => {
    seen.push({ host: asked.url ?? '', authorization: asked.headers['proxy-authorization'] });
    if (asked.url?.endsWith(':443')) return void socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    const [host, port] = registry.split(':');
    const onward = connect(Number(port), host);
    onward.on('connect', () => socket.write('HTTP/1.1 200 Connection established\r\n\r\n'));
    onward.pipe(socket).pipe(onward);
    onward.on('error', () => socket.destroy());
    socket.on('error', () => onward.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    seen,
    port: (proxy.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      proxy.closeAllConnections();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}

test('pulls and pushes go through the proxies of daemon.json', async (t) => {
  await using folder = await temporaryFolder();
  await using registry = await serveRegistry({ root: join(folder.path, 'registry'), addr: '127.0.0.1:0' });
  await using proxy = await proxyTo(registry.address);
  const url = `http://ann:s3cret@127.0.0.1:${proxy.port}`;
  const config = join(folder.path, 'daemon.json');
  const proxies = { 'http-proxy': url, 'https-proxy': url, 'no-proxy': 'direct.invalid' };
  await writeFile(config, JSON.stringify({ proxies, 'insecure-registries': ['registry.invalid', 'direct.invalid'] }));
  await using setup = await imageSetup(t, ['--config-file', config]);
  if (!setup) return;
  const { docker } = setup;
  const name = 'registry.invalid/app:1';
  await load(setup, { layers, tags: [name, 'direct.invalid/app:1'] });
  await docker.ok('push', '-q', name);
  await docker.ok('rmi', name);
  await docker.ok('pull', '-q', name);
  const authorization = `Basic ${Buffer.from('ann:s3cret').toString('base64')}`;
  assert.ok(proxy.seen.length > 2);
  for (const one of proxy.seen) {
    assert.match(one.host, /^registry\.invalid(:\d+)?$/);
    assert.equal(one.authorization, authorization);
  }
  const direct = await docker.run(['push', 'direct.invalid/app:1']);
  assert.equal(direct.status, 1);
  assert.ok(proxy.seen.every(({ host }) => !host.startsWith('direct')));
  const shown = await docker.ok('info', '-f', '{{.HTTPProxy}} {{.HTTPSProxy}} {{.NoProxy}}');
  const masked = `http://xxxxx:xxxxx@127.0.0.1:${proxy.port}`;
  assert.equal(shown, `${masked} ${masked} direct.invalid\n`);
  assert.ok(!setup.daemon.log.includes('s3cret'));
});

test('--max-download-attempts bounds the tries', async (t) => {
  await using folder = await temporaryFolder();
  let asked = 0;
  let broken = false;
  await using registry = await serveRegistry({
    root: join(folder.path, 'registry'),
    addr: '127.0.0.1:0',
    before({ method, url }, response) {
      if (!broken || method !== 'GET' || !url?.includes('/manifests/')) return false;
      asked++;
      response.writeHead(503).end();
      return true;
    },
  });
  for (const attempts of [1, 2]) {
    await using setup = await imageSetup(t, ['--max-download-attempts', String(attempts)]);
    if (!setup) return;
    const { docker } = setup;
    const name = `${registry.address}/app:1`;
    broken = false;
    await load(setup, { layers, tags: [name] });
    await docker.ok('push', '-q', name);
    await docker.ok('rmi', name);
    [broken, asked] = [true, 0];
    assert.equal((await docker.run(['pull', name])).status, 1);
    assert.equal(asked, attempts);
  }
});
