import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { type Descriptor, type Digest, digestOf, mediaTypes, type Platform } from '#oci';
import { parseReference, type Reference } from '#reference';
import { createRegistryClient, type RegistryClient, type RegistryOptions } from '#registry';
import { serveRegistry } from '#registry-server';
import { fromBytes } from '#streams';
import { temporaryFolder } from '#testing';
import { pullImage } from './pull.ts';
import { configFor, type TransferFixture, transferFixture } from './testsuite-load.ts';
import type { TransferStores } from './types.ts';

type Before = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

/** A registry of the test's own with a store that pulls from it. */
export interface RegistryFixture extends AsyncDisposable {
  readonly address: string;
  readonly client: RegistryClient;
  /** Every request that was made: `GET /v2/…`. */
  readonly requests: string[];
  /** Answers requests before the registry sees them. */
  before: Before;
  reference(name: string): Reference;
  /** A machine with an empty store. */
  machine(): Promise<Machine>;
}

export interface Machine extends AsyncDisposable {
  readonly stores: TransferStores;
  readonly fixture: TransferFixture;
}

export async function registryFixture(options: RegistryOptions = {}): Promise<RegistryFixture> {
  const folder = await temporaryFolder();
  const requests: string[] = [];
  const server = await serveRegistry({
    root: folder.path,
    addr: '127.0.0.1:0',
    before: (request, response) => {
      requests.push(`${request.method} ${request.url}`);
      return registry.before(request, response);
    },
  });
  const client = createRegistryClient({ retry: { firstDelayMs: 1, maxDelayMs: 5 }, ...options });
  const registry: RegistryFixture = {
    address: server.address,
    client,
    requests,
    before: () => false,
    reference: (name) => parseReference(`${server.address}/${name}`),
    machine: async () => {
      const fixture = await transferFixture();
      const stores = { ...fixture.stores, registry: client, maxConcurrentDownloads: 3, maxConcurrentUploads: 5 };
      return { stores, fixture, [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose]() };
    },
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
  return registry;
}

export interface PublishOptions {
  readonly platform?: Platform;
  readonly family?: 'oci' | 'docker';
  readonly compress?: (layer: Buffer) => Buffer;
  readonly config?: Buffer;
  /** What the manifest says of the lowest layers, which are not uploaded. */
  readonly foreign?: readonly Descriptor[];
}

export interface Published {
  readonly descriptor: Descriptor;
  readonly configDigest: Digest;
  readonly blobs: readonly Digest[];
}

/** Puts an image of these layers into the registry, as another tool would. */
export async function publish(
  client: RegistryClient,
  reference: Reference,
  layers: readonly Buffer[],
  options: PublishOptions = {},
): Promise<Published> {
  const { family = 'oci', compress = (layer) => gzipSync(layer), foreign = [] } = options;
  const config = options.config ?? configFor(layers, options.platform);
  const isDocker = family === 'docker';
  const blobs = layers.map((layer) => compress(layer));
  for (const bytes of [config, ...blobs.slice(foreign.length)]) {
    const digest = digestOf(bytes);
    await client.pushBlob(reference, { digest, sizeBytes: bytes.length, open: () => fromBytes(bytes) });
  }
  const describe = (bytes: Buffer, mediaType: string) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const mediaType = isDocker ? mediaTypes.dockerManifest : mediaTypes.ociManifest;
  const layerType = isDocker ? mediaTypes.dockerLayerGzip : mediaTypes.ociLayerGzip;
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: describe(config, isDocker ? mediaTypes.dockerConfig : mediaTypes.ociConfig),
    layers: blobs.map((blob, at) => foreign[at] ?? describe(blob, layerType)),
    annotations: { 'org.example.kept': 'byte for byte' },
  };
  const bytes = Buffer.from(JSON.stringify(manifest, undefined, 3));
  const digest = await client.putManifest(reference, { mediaType, bytes });
  return {
    descriptor: { mediaType, digest, size: bytes.length },
    configDigest: digestOf(config),
    blobs: blobs.map((blob) => digestOf(blob)),
  };
}

/** An index over manifests that the repository has. */
export async function publishIndex(
  client: RegistryClient,
  reference: Reference,
  manifests: readonly Descriptor[],
): Promise<Descriptor> {
  const mediaType = mediaTypes.ociIndex;
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  const digest = await client.putManifest(reference, { mediaType, bytes });
  return { mediaType, digest, size: bytes.length };
}

/** A web server that answers paths with bytes, and 404. */
export async function webServer(
  answer: (path: string) => Buffer | undefined,
): Promise<{ readonly url: string } & AsyncDisposable> {
  const server = createServer((request, response) => {
    const bytes = answer(request.url ?? '');
    response.writeHead(bytes ? 200 : 404);
    response.end(bytes);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Pulls as the tests of pulling do. */
export function pull({ stores, fixture }: Machine, reference: Reference, options: object = {}) {
  return pullImage(stores, reference, { onProgress: fixture.onProgress, ...options });
}

/** What a client was told, as `id: status`. */
export function statuses(machine: Machine): string[] {
  return machine.fixture.said.map(({ id, status }) => (id ? `${id}: ${status}` : `${status}`));
}

export async function leavesNothing({ fixture }: Machine): Promise<void> {
  assert.deepEqual(await fixture.contents(), []);
  assert.deepEqual(await fixture.verify(), []);
}

/** {@link publish}, by name. */
export async function published(registry: RegistryFixture, name: string, layers: readonly Buffer[], options = {}) {
  const reference = registry.reference(name);
  await publish(registry.client, reference, layers, options);
  return reference;
}

/** Layers as they are, so that their bytes are the blobs'. */
export const asIs = { compress: (bytes: Buffer) => bytes };
