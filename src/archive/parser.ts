import { EngineError } from '#errdefs';
import { type DraftEntry, draftEntry, type Extensions } from './entry.ts';
import { decodeHeader, type RawHeader, text } from './header.ts';
import { blockBytes, maxExtensionBytes } from './limits.ts';
import { parseNumber } from './numbers.ts';
import { parsePaxRecords } from './pax.ts';
import { PaxMapReader, readGnuPairs, type SparsePairs, sparseSegments } from './sparse.ts';
import type { TarEntry } from './types.ts';

/** Whoever wants to know what is in a tar. Called in stream order, synchronously, from `write`. */
export interface TarHandler {
  entry(entry: TarEntry): void;
  /** Stored data of the last entry: a view into the chunk written, and where it is within the stored data. */
  data?(bytes: Buffer, storedOffset: number): void;
}

export interface TarParserOptions {
  /** Go on after an archive's end marker, as `tar -i` does. Without it, what follows the marker is not looked at, as in Go's reader. */
  readonly concatenated?: boolean;
}

type State = 'header' | 'extension' | 'gnu-sparse' | 'pax-map' | 'data' | 'skip' | 'end';

/**
 * An incremental tar reader: feed it chunks of any size, it calls back. Holds less than a block plus the extension headers of one
 * entry. Reads V7, ustar, GNU, star and PAX, all sparse formats, archives that lack their end marker or last padding.
 *
 * @throws EngineError `invalid-argument` from `write` and `end` for whatever is not a well-formed tar; the parser is then spent.
 */
export class TarParser {
  readonly #handler: TarHandler;
  readonly #concatenated: boolean;
  readonly #partial = Buffer.alloc(blockBytes);
  #partialBytes = 0;
  #state: State = 'header';
  /** Offset in the stream of the next byte to look at. */
  #offset = 0;
  #zeroBlocks = 0;
  #extensions: Extensions = noExtensions();
  #extensionFlag = '';
  #extensionBody: Buffer = Buffer.alloc(0);
  #extensionBytes = 0;
  readonly #globals = new Map<string, string>();
  #globalBytes = 0;
  #draft: DraftEntry | undefined;
  #pairs: SparsePairs = [];
  #mapReader = new PaxMapReader();
  #mapBytes = 0;
  #dataLeft = 0;
  #storedBytes = 0;
  #skipLeft = 0;

  constructor(handler: TarHandler, options: TarParserOptions = {}) {
    this.#handler = handler;
    this.#concatenated = options.concatenated ?? false;
  }

  /** True once the end marker was read (with `concatenated`, never). */
  get ended(): boolean {
    return this.#state === 'end';
  }

  write(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    while (at < bytes.length) {
      const taken = this.#step(bytes, at);
      at += taken;
      this.#offset += taken;
    }
  }

  /** The stream is over. @throws `invalid-argument` when it broke off inside a header or a file. */
  end(): void {
    const isBetween = this.#state === 'skip' || (this.#state === 'header' && this.#partialBytes === 0);
    const isWhole = this.#state === 'end' || (isBetween && this.#extensions.headerOffset < 0);
    if (!isWhole) throw new EngineError('invalid-argument', 'unexpected EOF');
    this.#state = 'end';
  }

  #step(bytes: Buffer, at: number): number {
    const left = bytes.length - at;
    switch (this.#state) {
      case 'data':
        return this.#takeData(bytes, at, Math.min(left, this.#dataLeft));
      case 'skip': {
        const taken = Math.min(left, this.#skipLeft);
        this.#skipLeft -= taken;
        if (this.#skipLeft === 0) this.#state = 'header';
        return taken;
      }
      case 'extension':
        return this.#takeExtension(bytes, at, Math.min(left, this.#extensionBody.length - this.#extensionBytes));
      case 'end':
        return left;
      default:
        return this.#takeBlock(bytes, at, left);
    }
  }

  /** Blocks are looked at in place; only one that straddles two chunks is copied. */
  #takeBlock(bytes: Buffer, at: number, left: number): number {
    if (this.#partialBytes === 0 && left >= blockBytes) {
      this.#block(bytes, at, this.#offset);
      return blockBytes;
    }
    const taken = Math.min(left, blockBytes - this.#partialBytes);
    bytes.copy(this.#partial, this.#partialBytes, at, at + taken);
    this.#partialBytes += taken;
    if (this.#partialBytes === blockBytes) {
      this.#partialBytes = 0;
      this.#block(this.#partial, 0, this.#offset + taken - blockBytes);
    }
    return taken;
  }

  #block(bytes: Buffer, at: number, offset: number): void {
    if (this.#state === 'header') this.#headerBlock(bytes, at, offset);
    else if (this.#state === 'gnu-sparse') this.#gnuSparseBlock(bytes, at, offset);
    else this.#paxMapBlock(bytes, at, offset);
  }

  #headerBlock(bytes: Buffer, at: number, offset: number): void {
    if (isZeroBlock(bytes, at)) {
      this.#zeroBlock();
      return;
    }
    if (this.#zeroBlocks > 0 && !this.#concatenated)
      throw new EngineError(
        'invalid-argument',
        'archive/tar: invalid tar header: a lone block of zeros between entries',
      );
    this.#zeroBlocks = 0;
    const header = decodeHeader(bytes, at);
    if (this.#extensions.headerOffset < 0) this.#extensions.headerOffset = offset;
    if ('xXgLK'.includes(header.typeFlag)) this.#startExtension(header.typeFlag, header.sizeBytes);
    else if (header.typeFlag === 'V') this.#skipEntry(header.sizeBytes);
    else this.#startEntry(header, bytes, at, offset);
  }

  #startEntry(header: RawHeader, bytes: Buffer, at: number, offset: number): void {
    const draft = draftEntry(header, this.#extensions, this.#globals);
    this.#draft = draft;
    if (header.typeFlag === 'S') this.#startGnuSparse(bytes, at, offset, draft);
    else if (draft.hasPaxMap) this.#startPaxMap();
    else this.#announce(offset + blockBytes, draft.sparsePairs);
  }

  #zeroBlock(): void {
    if (this.#extensions.headerOffset >= 0)
      throw new EngineError(
        'invalid-argument',
        'archive/tar: invalid tar header: an extension header without an entry',
      );
    if (++this.#zeroBlocks === 2 && !this.#concatenated) this.#state = 'end';
  }

  #startExtension(flag: string, sizeBytes: number): void {
    if (sizeBytes > maxExtensionBytes)
      throw new EngineError(
        'invalid-argument',
        `archive/tar: invalid tar header: extension of ${sizeBytes} bytes is too large`,
      );
    this.#extensionFlag = flag;
    this.#extensionBody = Buffer.alloc(sizeBytes);
    this.#extensionBytes = 0;
    if (sizeBytes > 0) this.#state = 'extension';
    else this.#endExtension();
  }

  #takeExtension(bytes: Buffer, at: number, length: number): number {
    bytes.copy(this.#extensionBody, this.#extensionBytes, at, at + length);
    this.#extensionBytes += length;
    if (this.#extensionBytes === this.#extensionBody.length) {
      this.#endExtension();
      this.#skip(padding(this.#extensionBytes));
    }
    return length;
  }

  #endExtension(): void {
    const body = this.#extensionBody;
    if (this.#extensionFlag === 'L') this.#extensions.longPath = text(body, 0, body.length);
    else if (this.#extensionFlag === 'K') this.#extensions.longLink = text(body, 0, body.length);
    else if (this.#extensionFlag === 'g') this.#addGlobals(body);
    else this.#extensions.records = parsePaxRecords(body);
  }

  /** Global records hold for all that follows; an empty value takes one back. */
  #addGlobals(body: Buffer): void {
    this.#globalBytes += body.length;
    if (this.#globalBytes > maxExtensionBytes)
      throw new EngineError('invalid-argument', 'archive/tar: invalid tar header: too many global PAX records');
    for (const { key, value } of parsePaxRecords(body)) {
      if (value === '') this.#globals.delete(key);
      else this.#globals.set(key, value);
    }
    this.#extensions.headerOffset = -1;
  }

  #startGnuSparse(bytes: Buffer, at: number, offset: number, draft: DraftEntry): void {
    this.#pairs = [];
    readGnuPairs(bytes, at + 386, 4, this.#pairs);
    draft.realSizeBytes = parseNumber(bytes, at + 483, 12, 'sparse size');
    if (bytes[at + 482] !== 0) this.#state = 'gnu-sparse';
    else this.#announce(offset + blockBytes, this.#pairs);
  }

  #gnuSparseBlock(bytes: Buffer, at: number, offset: number): void {
    readGnuPairs(bytes, at, 21, this.#pairs);
    if (bytes[at + 504] === 0) this.#announce(offset + blockBytes, this.#pairs);
  }

  #startPaxMap(): void {
    this.#mapReader = new PaxMapReader();
    this.#mapBytes = 0;
    this.#state = 'pax-map';
  }

  #paxMapBlock(bytes: Buffer, at: number, offset: number): void {
    this.#mapBytes += blockBytes;
    const pairs = this.#mapReader.feed(bytes, at);
    const draft = this.#draft!;
    if (this.#mapBytes > draft.storedBytes)
      throw new EngineError(
        'invalid-argument',
        'archive/tar: invalid tar header: sparse file: the map is longer than the entry',
      );
    if (pairs === undefined) return;
    draft.storedBytes -= this.#mapBytes;
    this.#announce(offset + blockBytes, pairs);
  }

  #announce(dataOffset: number, pairs: SparsePairs | undefined): void {
    const draft = this.#draft!;
    const { storedBytes } = draft;
    const sizeBytes = pairs === undefined ? storedBytes : (draft.realSizeBytes ?? 0);
    const sparse = pairs === undefined ? undefined : sparseSegments(pairs, sizeBytes, storedBytes);
    const headerOffset = this.#extensions.headerOffset;
    this.#extensions = noExtensions();
    this.#draft = undefined;
    this.#state = 'header';
    if (dataOffset + storedBytes > Number.MAX_SAFE_INTEGER)
      throw new EngineError('invalid-argument', 'archive/tar: invalid tar header: absurd size');
    // Spelt out: a spread here costs a third of the parser's time.
    this.#handler.entry({
      type: draft.type,
      path: draft.path,
      linkPath: draft.linkPath,
      mode: draft.mode,
      uid: draft.uid,
      gid: draft.gid,
      userName: draft.userName,
      groupName: draft.groupName,
      mtime: draft.mtime,
      atime: draft.atime,
      ctime: draft.ctime,
      devMajor: draft.devMajor,
      devMinor: draft.devMinor,
      sizeBytes,
      xattrs: draft.xattrs,
      headerOffset,
      dataOffset,
      storedBytes,
      sparse,
    });
    this.#storedBytes = storedBytes;
    this.#dataLeft = storedBytes;
    if (storedBytes > 0) this.#state = 'data';
  }

  #takeData(bytes: Buffer, at: number, length: number): number {
    this.#handler.data?.(bytes.subarray(at, at + length), this.#storedBytes - this.#dataLeft);
    this.#dataLeft -= length;
    if (this.#dataLeft === 0) this.#skip(padding(this.#storedBytes));
    return length;
  }

  #skipEntry(sizeBytes: number): void {
    this.#extensions = noExtensions();
    this.#skip(sizeBytes + padding(sizeBytes));
  }

  #skip(length: number): void {
    this.#skipLeft = length;
    this.#state = length > 0 ? 'skip' : 'header';
  }
}

function noExtensions(): Extensions {
  return { headerOffset: -1, longPath: undefined, longLink: undefined, records: [] };
}

/** Zeros that follow `sizeBytes` of data up to the next block. */
export function padding(sizeBytes: number): number {
  return (blockBytes - (sizeBytes % blockBytes)) % blockBytes;
}

function isZeroBlock(bytes: Buffer, at: number): boolean {
  for (let i = at; i < at + blockBytes; i++) if (bytes[i] !== 0) return false;
  return true;
}
