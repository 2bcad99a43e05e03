import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { packTar } from '#archive';
import { type FileContentStore, openContentStore } from '#content';
import { createLayerIngester, type LayerIngester } from '#diff';
import { type MetadataStore, openMetadata } from '#metadata';
import { type Digest, digestOf, hostPlatform, type Platform } from '#oci';
import { readAll } from '#streams';
import { temporaryFolder } from '#testing';
import type { ProgressMessage, TransferStores } from './types.ts';

type Stores = Pick<TransferStores, 'content' | 'metadata' | 'layers' | 'snapshots' | 'platform'>;

/** Real stores in a folder of their own, or in one that is there; the snapshot driver has nothing to unpack. */
export interface TransferFixture extends AsyncDisposable {
  readonly stores: Stores;
  readonly content: FileContentStore;
  readonly metadata: MetadataStore;
  readonly said: ProgressMessage[];
  readonly onProgress: (message: ProgressMessage) => void;
  /** Everything the stores hold: files, rows, ingests. */
  contents(): Promise<string[]>;
  verify(): Promise<string[]>;
}

export async function transferFixture(existing?: string): Promise<TransferFixture> {
  await using owned = new AsyncDisposableStack();
  const root = existing ?? owned.use(await temporaryFolder()).path;
  const content = await openContentStore({ root: join(root, 'content') });
  const metadata = owned.use(await openMetadata({ root, content }));
  const layers: LayerIngester = owned.use(createLayerIngester({ content }));
  const snapshots = { unpack: async () => {} } as unknown as Stores['snapshots'];
  const said: ProgressMessage[] = [];
  const collected = async (lines: AsyncIterable<unknown>) => {
    const found: string[] = [];
    for await (const line of lines) found.push(typeof line === 'string' ? line : JSON.stringify(line));
    return found;
  };
  const held = owned.move();
  return {
    stores: { content, metadata, layers, snapshots, platform: hostPlatform() },
    content,
    metadata,
    said,
    onProgress: (message) => said.push(message),
    verify: () => collected(metadata.verify()),
    contents: async () => [
      ...(await collected(content.list())),
      ...metadata.blobs.list().map((blob) => blob.digest),
      ...metadata.images.list().map((image) => image.id),
      ...(await content.ingests()).map((ingest) => ingest.name),
    ],
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** A member of a tar under construction: a file's bytes, or a link's target. */
export type Member =
  | readonly [path: string, body: Uint8Array | string]
  | { readonly link: string; readonly to: string };

export function tarOf(...members: readonly Member[]): Promise<Buffer> {
  return readAll(
    packTar(
      members.map((member) => {
        if ('link' in member)
          return { entry: { type: 'symlink' as const, path: member.link, linkPath: member.to, mode: 0o777 } };
        const body = Buffer.from(member[1] as Uint8Array);
        return { entry: { type: 'file' as const, path: member[0], mode: 0o644, sizeBytes: body.length }, body };
      }),
    ),
    1 << 30,
  );
}

export async function randomLayer(sizeBytes = 20_000): Promise<Buffer> {
  return tarOf([`file-${randomBytes(4).toString('hex')}`, randomBytes(sizeBytes)]);
}

export function configFor(layers: readonly Buffer[], platform: Platform = hostPlatform(), more: object = {}): Buffer {
  return Buffer.from(
    JSON.stringify({
      ...platform,
      created: '2026-01-02T03:04:05.678901234Z',
      config: { Cmd: ['/bin/sh'], Labels: { made: 'here' } },
      ...more,
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => digestOf(layer)) },
    }),
  );
}

/** The oldest archive form still written by others: `<id>/layer.tar`. */
export function oldArchive(
  layers: readonly Buffer[],
  tags: readonly string[],
  config = configFor(layers),
): Promise<Buffer> {
  const names = layers.map((_, index) => `${String(index).padStart(64, '0')}/layer.tar`);
  return tarOf(
    ['config.json', config],
    ...layers.map((layer, index) => [names[index]!, layer] as const),
    ['manifest.json', JSON.stringify([{ Config: 'config.json', RepoTags: tags, Layers: names }])],
    ['repositories', '{}'],
  );
}

/** The bytes in pieces, as a socket gives them. */
export async function* inPieces(bytes: Buffer, sizeBytes = 7001): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes);
}

export function blobPath(digest: Digest): string {
  return `blobs/${digest.replace(':', '/')}`;
}
