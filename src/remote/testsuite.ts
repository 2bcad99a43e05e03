/** Fixtures of this module's tests: registries of their own with images in them. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Descriptor, digestOf, mediaTypes, type Platform } from '#oci';
import { parseReference, type Reference } from '#reference';
import { createRegistryClient } from '#registry';
import { serveRegistry } from '#registry-server';
import { fromBytes } from '#streams';
import { temporaryFolder } from '#testing';
import type { RemoteCall } from './types.ts';

type Before = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

export interface TestRegistry extends AsyncDisposable {
  readonly address: string;
  readonly call: RemoteCall;
  /** Every request: `GET /v2/…`. */
  readonly requests: string[];
  before: Before;
  reference(name: string): Reference;
}

export async function testRegistry(): Promise<TestRegistry> {
  const folder = await temporaryFolder();
  const requests: string[] = [];
  const server = await serveRegistry({
    root: folder.path,
    addr: '127.0.0.1:0',
    before: (request, response) => {
      requests.push(`${request.method} ${request.url}`);
      return self.before(request, response);
    },
  });
  const registry = createRegistryClient({ retry: { attempts: 3, firstDelayMs: 1, maxDelayMs: 5 } });
  const self: TestRegistry = {
    address: server.address,
    call: { registry },
    requests,
    before: () => false,
    reference: (name) => parseReference(`${server.address}/${name}`),
    [Symbol.asyncDispose]: async () => {
      await registry[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
  return self;
}

/** An image of one layer of random bytes; answers its descriptor with the platform, as an index lists it. */
export async function publishImage(
  { call: { registry } }: TestRegistry,
  reference: Reference,
  options: { platform?: Platform; layers?: readonly Buffer[]; artifactType?: string } = {},
): Promise<Descriptor> {
  const { platform = { os: 'linux', architecture: 'amd64' }, layers = [randomBytes(20_000)] } = options;
  const config = Buffer.from(
    JSON.stringify({
      ...platform,
      created: '2026-01-02T03:04:05Z',
      config: { Env: ['A=1'], Labels: { who: 'me' } },
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => digestOf(layer)) },
    }),
  );
  for (const bytes of [config, ...layers])
    await registry.pushBlob(reference, {
      digest: digestOf(bytes),
      sizeBytes: bytes.length,
      open: () => fromBytes(bytes),
    });
  const describe = (bytes: Buffer, mediaType: string) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    ...(options.artifactType ? { artifactType: options.artifactType } : {}),
    config: describe(config, mediaTypes.ociConfig),
    layers: layers.map((layer) => describe(layer, mediaTypes.ociLayer)),
    annotations: { 'org.example.kept': 'byte for byte' },
  };
  const bytes = Buffer.from(JSON.stringify(manifest, undefined, 3));
  await registry.putManifest(reference, { mediaType: mediaTypes.ociManifest, bytes });
  return { ...describe(bytes, mediaTypes.ociManifest), platform };
}

export async function publishIndex(
  { call: { registry } }: TestRegistry,
  reference: Reference,
  manifests: readonly Descriptor[],
): Promise<Descriptor> {
  const mediaType = mediaTypes.ociIndex;
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }, undefined, 1));
  const digest = await registry.putManifest(reference, { mediaType, bytes });
  return { mediaType, digest, size: bytes.length };
}
