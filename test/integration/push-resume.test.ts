/** Uploads that the daemon's own end broke off. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '#client';
import { serveRegistry } from '#registry-server';
import { fromBytes } from '#streams';
import { requireRoot, temporaryFolder } from '#testing';
import { tarOf } from '../compat/images-fixture.ts';
import { TestDaemon } from '../support/daemon.ts';

const layerBytes = 40 << 20;

/** Calls back with the bytes that each request brings. */
function watch(request: IncomingMessage, onBytes: (sizeBytes: number) => void): void {
  const push = request.push.bind(request);
  request.push = (chunk: Buffer | null) => {
    onBytes(chunk?.length ?? 0);
    return push(chunk);
  };
}

test('a push that kill -9 of the daemon broke off goes on where the registry stands', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  let onBytes = (_: number) => {};
  const requests: string[] = [];
  await using registry = await serveRegistry({
    root: join(folder.path, 'registry'),
    addr: '127.0.0.1:0',
    before: (request) => {
      requests.push(`${request.method} ${request.url}`);
      if (request.method === 'PATCH') watch(request, (sizeBytes) => onBytes(sizeBytes));
      return false;
    },
  });
  await using daemon = await TestDaemon.start({ flags: ['--push-compression', 'zstd'] });
  const name = `${registry.address}/big:1`;
  await using engine = connect(daemon.host);
  const archive = tarOf({ big: randomBytes(layerBytes) });
  await Array.fromAsync(engine.images.import(fromBytes(archive), { repo: name }));
  let arrivedBytes = 0;
  let killed: Promise<void> | undefined;
  onBytes = (sizeBytes) => {
    arrivedBytes += sizeBytes;
    if (arrivedBytes > layerBytes / 2) killed ??= daemon.kill();
  };
  await assert.rejects(Array.fromAsync(engine.images.push(name)));
  await killed;
  const begun = requests.filter((line) => /^POST .*uploads/.test(line)).length;
  arrivedBytes = 0;
  onBytes = (sizeBytes) => {
    arrivedBytes += sizeBytes;
  };
  await daemon.start();
  const said = await Array.fromAsync(engine.images.push(name));
  assert.ok(said.every((line) => !('error' in line)));
  assert.ok(arrivedBytes < 0.75 * layerBytes, `${arrivedBytes} bytes of ${layerBytes} were sent again`);
  const again = requests.filter((line) => /^POST .*uploads/.test(line)).length - begun;
  assert.equal(again, 1, 'for the config; the layer has its session');
  const { layers } = (await (await fetch(`http://${registry.address}/v2/big/manifests/1`)).json()) as {
    layers: { mediaType: string; digest: string }[];
  };
  assert.match(layers[0]!.mediaType, /tar\+zstd$/, 'as the daemon was told');
  await engine.images.remove(name);
  await Array.fromAsync(engine.images.pull(name));
});
