import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { decompress, peek, readTar, sniffBytes, sniffCompression } from '#archive';
import { EngineError } from '#errdefs';
import {
  type Descriptor,
  type Digest,
  digestOf,
  maxConfigBytes,
  maxManifestBytes,
  mediaTypes,
  parseConfig,
} from '#oci';
import { familiarString, formatReference, parseReference, withDefaultTag } from '#reference';
import { type ByteSource, readAll } from '#streams';
import {
  followLinks,
  hardlinkTarget,
  type ManifestItem,
  memberName,
  parseManifestJson,
  symlinkTarget,
} from '#transfer';
import { digestOfStream } from './digest-of-stream.ts';
import { blobPath, findEntry } from './layout.ts';
import type { CopySource } from './places.ts';
import { verifiedDocument } from './verified.ts';

const maxMembers = 100_000;
/** Archives of ordinary images inflate to three times their size. */
const maxExpansion = 100;
const minExpansionBytes = 1 << 30;

interface Member {
  readonly offset: number;
  readonly sizeBytes: number;
}

/** Where the members of an archive are in its file. */
class ArchiveFile {
  readonly #path: string;
  readonly #members = new Map<string, Member>();
  readonly #links = new Map<string, string>();

  private constructor(path: string) {
    this.#path = path;
  }

  /** Reads the file once; the members are then read where they stand. */
  static async open(path: string): Promise<ArchiveFile> {
    const archive = new ArchiveFile(path);
    for await (const item of readTar(createReadStream(path, { highWaterMark: 1 << 20 }))) {
      if (archive.#members.size + archive.#links.size >= maxMembers)
        throw new EngineError('invalid-argument', `${path} has more than ${maxMembers} members`);
      const name = memberName(item.path);
      if (item.type === 'symlink') archive.#links.set(name, symlinkTarget(name, item.linkPath));
      else if (item.type === 'hardlink') archive.#links.set(name, hardlinkTarget(item.linkPath));
      else if (item.type === 'file' && !item.sparse)
        archive.#members.set(name, { offset: item.dataOffset, sizeBytes: item.sizeBytes });
    }
    return archive;
  }

  size(name: string): number | undefined {
    return this.#members.get(followLinks(this.#links, name))?.sizeBytes;
  }

  read(name: string): ByteSource {
    const member = this.#members.get(followLinks(this.#links, name));
    if (!member) throw new EngineError('not-found', `the archive does not have ${name}`);
    if (member.sizeBytes === 0) return createReadStream('/dev/null');
    const end = member.offset + member.sizeBytes - 1;
    return createReadStream(this.#path, { start: member.offset, end, highWaterMark: 1 << 20 });
  }

  async document(name: string, limitBytes: number): Promise<Buffer | undefined> {
    return this.size(name) === undefined ? undefined : await readAll(this.read(name), limitBytes, name);
  }
}

/** An archive in a file: an OCI layout, what `docker save` writes, or both in one. A compressed one is inflated into a temporary file first. */
export async function archiveSource(
  path: string,
  name: string | undefined,
  maxInflatedBytes?: number,
): Promise<CopySource> {
  const plain = await inflated(path, maxInflatedBytes);
  try {
    const archive = await ArchiveFile.open(plain.path);
    const index = await archive.document('index.json', maxManifestBytes);
    const source = index ? layoutOf(archive, findEntry(index, name, path)) : await savedImage(archive, path, name);
    return { ...source, [Symbol.asyncDispose]: plain.remove };
  } catch (error) {
    await plain.remove();
    throw error;
  }
}

async function inflated(
  path: string,
  maxBytes: number | undefined,
): Promise<{ path: string; remove: () => Promise<void> }> {
  const { start, rest } = await peek(createReadStream(path, { highWaterMark: 1 << 20 }), sniffBytes);
  if (sniffCompression(start) === 'none') {
    await rest[Symbol.asyncIterator]().return?.(undefined);
    return { path, remove: async () => {} };
  }
  const folder = await mkdtemp(join(tmpdir(), 'wherry-copy-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const limitBytes = maxBytes ?? Math.max(minExpansionBytes, maxExpansion * (await stat(path)).size);
    const plain = limited(decompress(rest), limitBytes, path);
    await pipeline(plain, createWriteStream(join(folder, 'archive.tar'), { highWaterMark: 1 << 20 }));
  } catch (error) {
    await remove();
    throw error;
  }
  return { path: join(folder, 'archive.tar'), remove };
}

/** A few kilobytes can inflate to terabytes. */
async function* limited(source: ByteSource, limitBytes: number, path: string): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  for await (const chunk of source) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > limitBytes)
      throw new EngineError(
        'out-of-range',
        `${path} inflates to more than ${limitBytes} bytes, the most that is allowed`,
      );
    yield chunk;
  }
}

type Contents = Pick<CopySource, 'top' | 'document' | 'blob'>;

function layoutOf(archive: ArchiveFile, top: Descriptor): Contents {
  return {
    top,
    document: async (descriptor) => {
      const bytes = await archive.document(blobPath(descriptor.digest), maxManifestBytes);
      if (!bytes) throw new EngineError('not-found', `the archive does not have ${descriptor.digest}`);
      return verifiedDocument(bytes, descriptor);
    },
    blob: ({ digest }) => archive.read(blobPath(digest)),
  };
}

/** An archive of an older `docker save`, which has no manifest: one is written for it. Its layers stay as they are. */
async function savedImage(archive: ArchiveFile, path: string, name: string | undefined): Promise<Contents> {
  const items = await archive.document('manifest.json', maxManifestBytes);
  if (!items)
    throw new EngineError(
      'invalid-argument',
      `${path} is no image archive: it has neither index.json nor manifest.json`,
    );
  const item = findItem(parseManifestJson(items), name, path);
  const config = await archive.document(item.config, maxConfigBytes);
  if (!config) throw new EngineError('not-found', `the archive does not have ${item.config}`);
  const diffIDs = parseConfig(config).rootfs.diff_ids;
  if (diffIDs.length !== item.layers.length)
    throw new EngineError(
      'invalid-argument',
      `${path}: its config names ${diffIDs.length} layers, it has ${item.layers.length}`,
    );
  const members = new Map<Digest, string>([[digestOf(config), item.config]]);
  const layers: Descriptor[] = [];
  for (const layer of item.layers) {
    const descriptor = await describeLayer(archive, layer);
    members.set(descriptor.digest, layer);
    layers.push(descriptor);
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.dockerManifest,
    config: { mediaType: mediaTypes.dockerConfig, digest: digestOf(config), size: config.length },
    layers,
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  return {
    top: { mediaType: mediaTypes.dockerManifest, digest: digestOf(bytes), size: bytes.length },
    document: async (descriptor) => verifiedDocument(bytes, descriptor),
    blob: ({ digest }) => archive.read(members.get(digest) ?? blobPath(digest)),
  };
}

async function describeLayer(archive: ArchiveFile, name: string): Promise<Descriptor> {
  const { start, rest } = await peek(archive.read(name), sniffBytes);
  const compression = sniffCompression(start);
  if (compression !== 'none' && compression !== 'gzip')
    throw new EngineError('not-implemented', `${name} is compressed with ${compression}, which schema 2 does not know`);
  const mediaType = compression === 'gzip' ? mediaTypes.dockerLayerGzip : mediaTypes.dockerLayer;
  return { mediaType, digest: await digestOfStream(rest), size: archive.size(name)! };
}

function findItem(items: readonly ManifestItem[], name: string | undefined, path: string): ManifestItem {
  const names = items.flatMap(({ references }) => references.map(familiarString)).join(', ') || 'no name';
  if (name === undefined) {
    if (items.length === 1) return items[0]!;
    throw new EngineError('invalid-argument', `${path} has ${items.length} images, say which: ${names}`);
  }
  const wanted = formatReference(withDefaultTag(parseReference(name)));
  const found = items.find(({ references }) => references.some((reference) => formatReference(reference) === wanted));
  if (found) return found;
  throw new EngineError('not-found', `${path} has no image ${name}; it has ${names}`);
}
