/** Images of several platforms in a registry, as another tool would have pushed them. */
import { gzipSync } from 'node:zlib';
import { type Descriptor, type Digest, digestOf, mediaTypes, type Platform } from '#oci';
import { tarOf } from './images-fixture.ts';

export interface PublishedPlatform {
  readonly manifest: Descriptor;
  readonly id: Digest;
}

export interface PublishedIndex {
  readonly reference: string;
  readonly index: Descriptor;
  readonly platforms: readonly PublishedPlatform[];
}

export interface LayerBlob {
  readonly descriptor: Descriptor;
  /** What the registry is given; nothing for a layer that lives elsewhere. */
  readonly bytes?: Buffer;
  readonly diffID: Digest;
}

const own = process.arch === 'arm64' ? 'arm64' : 'amd64';
export const hostLinux: Platform = { os: 'linux', architecture: own };
export const foreignLinux: Platform = { os: 'linux', architecture: 's390x' };

export function gzipLayer(tar: Buffer): LayerBlob {
  const bytes = gzipSync(tar);
  const descriptor = { mediaType: mediaTypes.ociLayerGzip, digest: digestOf(bytes), size: bytes.length };
  return { descriptor, bytes, diffID: digestOf(tar) };
}

export const predicateType = 'https://slsa.dev/provenance/v1';
export const statement = { _type: 'https://in-toto.io/Statement/v0.1', predicateType };

/** One layer each, which holds the platform's name; an attestation of the first when it is wished for. */
export async function publishPlatforms(
  address: string,
  name: string,
  platforms: readonly Platform[],
  options: { attested?: boolean; layers?: (platform: Platform) => readonly LayerBlob[] } = {},
): Promise<PublishedIndex> {
  const [repository, tag] = name.split(':') as [string, string];
  const base = `http://${address}/v2/${repository}`;
  const published: PublishedPlatform[] = [];
  const layersOf =
    options.layers ?? ((platform) => [gzipLayer(tarOf({ platform: JSON.stringify(platform) }))] as const);
  for (const platform of platforms) published.push(await publishOne(base, platform, layersOf(platform)));
  const entries = published.map(({ manifest }) => manifest);
  const index = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: options.attested ? [...entries, await attestation(base, entries[0]!)] : entries,
  };
  const descriptor = await put(base, index, mediaTypes.ociIndex, tag);
  return { reference: `${address}/${name}`, index: descriptor, platforms: published };
}

async function publishOne(base: string, platform: Platform, layers: readonly LayerBlob[]): Promise<PublishedPlatform> {
  const diffIDs = layers.map(({ diffID }) => diffID);
  const config = Buffer.from(
    JSON.stringify({
      created: '2026-01-02T03:04:05Z',
      ...platform,
      config: { Cmd: ['/x'] },
      rootfs: { type: 'layers', diff_ids: diffIDs },
      history: layers.map(() => ({ created: '2026-01-02T03:04:05Z', created_by: `made for ${platform.architecture}` })),
    }),
  );
  for (const bytes of [config, ...layers.flatMap((layer) => layer.bytes ?? [])]) await putBlob(base, bytes);
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.length },
    layers: layers.map(({ descriptor }) => descriptor),
  };
  return { manifest: { ...(await put(base, manifest, mediaTypes.ociManifest)), platform }, id: digestOf(config) };
}

async function attestation(base: string, subject: Descriptor): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(statement));
  const unknown = { os: 'unknown', architecture: 'unknown' };
  const rootfs = { type: 'layers', diff_ids: [digestOf(bytes)] };
  const config = Buffer.from(JSON.stringify({ ...unknown, config: {}, rootfs }));
  for (const blob of [bytes, config]) await putBlob(base, blob);
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.length },
    layers: [
      {
        mediaType: 'application/vnd.in-toto+json',
        digest: digestOf(bytes),
        size: bytes.length,
        annotations: { 'in-toto.io/predicate-type': predicateType },
      },
    ],
  };
  const annotations = {
    'vnd.docker.reference.digest': subject.digest,
    'vnd.docker.reference.type': 'attestation-manifest',
  };
  return { ...(await put(base, manifest, mediaTypes.ociManifest)), annotations, platform: unknown };
}

async function put(base: string, document: unknown, mediaType: string, tag?: string): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(document));
  const digest = digestOf(bytes);
  await sent(`${base}/manifests/${tag ?? digest}`, 'PUT', bytes, mediaType);
  return { mediaType, digest, size: bytes.length };
}

async function putBlob(base: string, bytes: Buffer): Promise<void> {
  await sent(`${base}/blobs/uploads/?digest=${digestOf(bytes)}`, 'POST', bytes, 'application/octet-stream');
}

async function sent(url: string, method: string, body: Buffer, type: string): Promise<void> {
  const answer = await fetch(url, { method, body: new Uint8Array(body), headers: { 'content-type': type } });
  if (answer.status !== 201) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`);
}
