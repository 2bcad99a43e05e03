/** `manifest` and `index` on the command line, against a registry of the test's own. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { type Descriptor, digestOf, mediaTypes } from '#oci';
import { parseReference } from '#reference';
import { createRegistryClient, type RegistryClient } from '#registry';
import { serveRegistry } from '#registry-server';
import { fromBytes } from '#streams';
import { temporaryFolder } from '#testing';
import type { Terminal } from './command.ts';
import { runCli } from './main.ts';

async function publish(client: RegistryClient, name: string, architecture: string): Promise<void> {
  const reference = parseReference(name);
  const config = Buffer.from(JSON.stringify({ os: 'linux', architecture, rootfs: { type: 'layers', diff_ids: [] } }));
  const digest = digestOf(config);
  await client.pushBlob(reference, { digest, sizeBytes: config.length, open: () => fromBytes(config) });
  const described = { mediaType: mediaTypes.dockerConfig, digest, size: config.length };
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.dockerManifest, config: described, layers: [] };
  await client.putManifest(reference, {
    mediaType: mediaTypes.dockerManifest,
    bytes: Buffer.from(JSON.stringify(manifest)),
  });
}

async function desk() {
  const folder = await temporaryFolder();
  const server = await serveRegistry({ root: join(folder.path, 'registry'), addr: '127.0.0.1:0' });
  const client = createRegistryClient();
  for (const architecture of ['amd64', 'arm64'])
    await publish(client, `${server.address}/app:${architecture}`, architecture);
  return {
    client,
    address: server.address,
    run: async (line: string) => {
      const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
      const environment = { DOCKER_CONFIG: join(folder.path, 'config') };
      const args = line.replaceAll('@', `${server.address}/`).split(' ');
      const status = await runCli(args, streams as unknown as Terminal, environment);
      const read = async (stream: PassThrough) => Buffer.concat(await Array.fromAsync(stream.end())).toString('utf8');
      return { status, stdout: await read(streams.stdout), stderr: await read(streams.stderr) };
    },
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const platforms = (index: { manifests: readonly Descriptor[] }) => index.manifests.map(({ platform }) => platform);

test('a manifest list is created, amended, annotated, looked at, pushed and removed', async () => {
  await using at = await desk();
  const created = await at.run('manifest create @app:1 @app:amd64');
  assert.equal(created.stdout, `Created manifest list ${at.address}/app:1\n`, created.stderr);
  assert.match((await at.run('manifest create @app:1 @app:arm64')).stderr, /^refusing to amend an existing/);
  assert.equal((await at.run('manifest create --amend @app:1 @app:arm64')).status, 0);
  assert.equal((await at.run('manifest annotate --variant v8 --os-version 7 @app:1 @app:arm64')).status, 0);
  assert.match((await at.run('manifest annotate --os a/b @app:1 @app:arm64')).stderr, /unsupported os\/arch/);
  assert.match((await at.run('manifest annotate --os linux @app:1 @app:x')).stderr, /does not exist in \S+app:1/);
  const shown = JSON.parse((await at.run('manifest inspect @app:1')).stdout) as { manifests: Descriptor[] };
  const wanted = [
    { os: 'linux', architecture: 'amd64' },
    { architecture: 'arm64', os: 'linux', 'os.version': '7', variant: 'v8' },
  ];
  assert.deepEqual(platforms(shown), wanted);
  const pushed = await at.run('manifest push --purge @app:1');
  const there = await at.client.manifest(parseReference(`${at.address}/app:1`));
  assert.equal(pushed.stdout, `${there.descriptor.digest}\n`);
  assert.equal(there.descriptor.mediaType, mediaTypes.dockerManifestList);
  assert.deepEqual(platforms(JSON.parse(there.bytes.toString()) as { manifests: Descriptor[] }), wanted);
  assert.match((await at.run('manifest rm @app:1')).stderr, /no such manifest list here/);
  assert.deepEqual(JSON.parse((await at.run('manifest inspect @app:1')).stdout), JSON.parse(there.bytes.toString()));
  assert.match((await at.run('manifest create @app:2 @app:1')).stderr, /is a manifest list itself/);
});

test('an index is created where its images are', async () => {
  await using at = await desk();
  const dry = await at.run('index create --dry-run @app:all @app:amd64 @app:arm64');
  assert.equal((JSON.parse(dry.stdout) as { manifests: unknown[] }).manifests.length, 2);
  assert.equal((await at.run('tags @app')).stdout, 'amd64\narm64\n');
  const made = await at.run('index create --annotation a=b @other:all @app:amd64 @app:arm64');
  const there = await at.client.manifest(parseReference(`${at.address}/other:all`));
  assert.equal(made.stdout, `${there.descriptor.digest}\n`, made.stderr);
  assert.equal(there.descriptor.mediaType, mediaTypes.ociIndex);
  const more = await at.run('index create @other:more @other:all @app:amd64');
  assert.equal(more.status, 0, more.stderr);
});
