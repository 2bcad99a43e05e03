import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type FileContentStore, openContentStore } from '#content';
import { type DiffID, type Digest, mediaTypes } from '#oci';
import { temporaryFolder } from '#testing';
import { type MetadataStore, type OpenMetadataOptions, openMetadata } from './store.ts';
import type { Lease, NewImage } from './types.ts';

export interface MetadataFixture extends AsyncDisposable {
  readonly root: string;
  content: FileContentStore;
  metadata: MetadataStore;
  /** Closes and opens again, as the next process would. */
  reopen(): Promise<void>;
}

export type Driver = NonNullable<OpenMetadataOptions['driver']>;

export async function metadataFixture(
  driver?: Driver,
  options: Pick<OpenMetadataOptions, 'keeps'> = {},
): Promise<MetadataFixture> {
  const folder = await temporaryFolder();
  const open = async () => {
    const content = await openContentStore({ root: join(folder.path, 'content') });
    const metadata = await openMetadata({ root: folder.path, content, ...(driver ? { driver } : {}), ...options });
    return { content, metadata };
  };
  const fixture: MetadataFixture = {
    root: folder.path,
    ...(await open()),
    async reopen() {
      await fixture.metadata[Symbol.asyncDispose]();
      Object.assign(fixture, await open());
    },
    async [Symbol.asyncDispose]() {
      await fixture.metadata[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
  return fixture;
}

/** Stores a random layer under a lease, as an ingest does. Without a lease of the caller's it is garbage from then on. */
export async function addLayer(
  { content, metadata }: Pick<MetadataFixture, 'content' | 'metadata'>,
  sizeBytes = 100,
  callers?: Lease,
): Promise<DiffID> {
  const bytes = randomBytes(sizeBytes);
  await using lease = await metadata.lease();
  const { digest } = await content.put(bytes);
  await (callers ?? lease).add(digest);
  await metadata.layers.put({ diffID: digest as DiffID, sizeBytes, createdMs: 1 });
  return digest as DiffID;
}

/** An image over the layers, its documents stored; not yet put. */
export async function makeImage(
  content: FileContentStore,
  diffIDs: readonly DiffID[],
  extra: Partial<NewImage> = {},
): Promise<NewImage> {
  const config = await content.put(Buffer.from(JSON.stringify({ nonce: randomBytes(8).toString('hex') })));
  const manifest = await content.put(Buffer.from(JSON.stringify({ config: config.digest, diffIDs })));
  const descriptor = {
    mediaType: mediaTypes.ociManifest,
    digest: manifest.digest,
    size: manifest.sizeBytes,
  };
  return {
    id: config.digest,
    target: descriptor,
    manifest: descriptor,
    diffIDs,
    sizeBytes: 100 * diffIDs.length,
    createdMs: 5,
    labels: { a: 'b' },
    references: [config.digest, manifest.digest, ...(diffIDs as readonly Digest[])],
    ...extra,
  };
}

export async function collectLines(lines: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const line of lines) found.push(line);
  return found;
}
