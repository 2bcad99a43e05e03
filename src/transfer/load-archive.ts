import { peek, readTar, type TarItem } from '#archive';
import { maxDeltaHeaderBytes } from '#delta';
import { EngineError } from '#errdefs';
import { type Digest, digestAlgorithm, digestOf, isDigest } from '#oci';
import { type ByteSource, readAll } from '#streams';
import { deltaFolder, deltaHeaderName } from './delta-names.ts';
import { followLinks, hardlinkTarget, memberName, symlinkTarget } from './load-names.ts';
import { looksLikeLayer, sniffLength } from './load-sniff.ts';

/** One manifest or config; no real one comes near. */
const maxDocumentBytes = 8 << 20;
/** All documents of an archive together: what a load may hold in memory. */
const maxDocumentsBytes = 64 << 20;
/** Anything else that is no layer is kept only when tiny: a layer of zero bytes, a `VERSION`. */
const maxOtherBytes = 1024;
/** Names and links are held too. */
const maxMembers = 100_000;

/** What is done with a layer's bytes as they pass. Must take `body` in full, or fail. */
export type OnLayer = (layer: {
  readonly name: string;
  /** What the member's path says its bytes hash to: `blobs/sha256/…`. */
  readonly digest: Digest | undefined;
  readonly sizeBytes: number;
  readonly body: ByteSource;
}) => Promise<void>;

/** What is done with the members of an archive of differences. Each must take `body` in full, or fail, or say that it wants nothing of it. */
export interface OnDelta {
  header(bytes: Buffer): Promise<void>;
  piece(piece: { readonly name: string; readonly sizeBytes: number; readonly body: ByteSource }): Promise<void>;
}

export interface ArchiveHandlers {
  readonly layer: OnLayer;
  readonly delta: OnDelta;
}

/** An image archive's small parts, held; its layers went by. */
export class LoadArchive {
  readonly #documents = new Map<string, Buffer>();
  readonly #links = new Map<string, string>();
  #documentBytes = 0;
  #members = 0;
  #isDelta = false;

  /** Reads an archive once, front to back. @throws `invalid-argument` for what is no tar, for names that climb out, for absurd sizes. */
  static async read(source: ByteSource, handlers: ArchiveHandlers): Promise<LoadArchive> {
    const archive = new LoadArchive();
    for await (const item of readTar(source)) await archive.#take(item, handlers);
    return archive;
  }

  /** The member's bytes when it is a document. Links are followed. */
  document(path: string): Buffer | undefined {
    return this.#documents.get(this.resolve(path));
  }

  /** A document below `blobs/`; its digest was checked. */
  blob(digest: Digest): Buffer | undefined {
    return this.document(`blobs/${digest.replace(':', '/')}`);
  }

  /** The name of the member that a path leads to. */
  resolve(path: string): string {
    return followLinks(this.#links, path);
  }

  async #take(item: TarItem, handlers: ArchiveHandlers): Promise<void> {
    if (++this.#members > maxMembers)
      throw new EngineError('invalid-argument', `load: the archive has more than ${maxMembers} members`);
    const name = memberName(item.path);
    if (item.type === 'symlink') this.#links.set(name, symlinkTarget(name, item.linkPath));
    else if (item.type === 'hardlink') this.#links.set(name, hardlinkTarget(item.linkPath));
    else if (item.type === 'file') await this.#takeFile(name, item, handlers);
  }

  async #takeFile(name: string, item: TarItem, handlers: ArchiveHandlers): Promise<void> {
    this.#links.delete(name);
    if (name === deltaHeaderName && this.#members === 1) {
      this.#isDelta = true;
      await handlers.delta.header(await readAll(item.body, maxDeltaHeaderBytes, name));
      return;
    }
    if (this.#isDelta && name.startsWith(deltaFolder)) {
      await handlers.delta.piece({ name, sizeBytes: item.sizeBytes, body: item.body });
      return;
    }
    const { start, rest } = await peek(item.body, sniffLength);
    const digest = digestOfPath(name);
    if (isAttestation(start) && !this.#hasRoomFor(item.sizeBytes)) return;
    if (looksLikeLayer(start)) await handlers.layer({ name, digest, sizeBytes: item.sizeBytes, body: rest });
    else if (isJson(start) && item.sizeBytes <= maxDocumentBytes)
      this.#hold(name, digest, await readAll(rest, maxDocumentBytes, name));
    else if (item.sizeBytes <= maxOtherBytes) this.#hold(name, undefined, await readAll(rest, maxOtherBytes, name));
    else if (isManifestName(name))
      throw new EngineError('invalid-argument', `load ${name}: larger than ${maxDocumentBytes} bytes, or not JSON`);
  }

  /** For what an image is as good without: larger statements go by. */
  #hasRoomFor(sizeBytes: number): boolean {
    return sizeBytes <= maxDocumentBytes && this.#documentBytes + sizeBytes <= maxDocumentsBytes / 2;
  }

  #hold(name: string, digest: Digest | undefined, bytes: Buffer): void {
    const previous = this.#documents.get(name)?.length ?? 0;
    this.#documentBytes += bytes.length - previous;
    if (this.#documentBytes > maxDocumentsBytes)
      throw new EngineError('invalid-argument', `load: the archive's documents exceed ${maxDocumentsBytes} bytes`);
    if (digest && digestOf(bytes, digestAlgorithm(digest)) !== digest)
      throw new EngineError('data-loss', `load ${name}: its bytes do not have that digest`);
    this.#documents.set(name, bytes);
  }
}

function isJson(start: Uint8Array): boolean {
  return /^\s*[[{]/.test(Buffer.from(start).toString('latin1'));
}

/** Statements about an image (in-toto v1: SBOM, provenance) are no part of it, and may be larger than all the rest of the documents. */
function isAttestation(start: Uint8Array): boolean {
  return isJson(start) && Buffer.from(start).includes('https://in-toto.io/Statement');
}

function isManifestName(name: string): boolean {
  return name === 'manifest.json' || name === 'index.json';
}

/** image-spec v1.1 image-layout.md §blobs. */
function digestOfPath(name: string): Digest | undefined {
  const match = /^blobs\/([^/]+)\/([^/]+)$/.exec(name);
  const digest = match ? `${match[1]}:${match[2]}` : '';
  return isDigest(digest) ? digest : undefined;
}
