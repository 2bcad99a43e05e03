import { closeSync, fsyncSync, openSync, statfsSync, writeSync } from 'node:fs';
import type { Transform } from 'node:stream';
import { createDecompressor, inflatedChunkBytes, inflateError, sniffCompression, TarParser } from '#archive';
import { type DataSource, encodeIndex, fileSource, LayerIndexer } from '#erofs';
import { EngineError } from '#errdefs';
import { isNoSpace } from '#files';
import { createDigester, type Digester } from '#oci';
import { sys } from '#sys';
import type { Follower } from './digest-protocol.ts';
import { FileDigest } from './file-digest.ts';
import type { Digested, StartMessage } from './protocol.ts';

/** Write-back starts while the rest still arrives, so that the sync at the end has little left to do. */
const writebackBytes = 16 << 20;
/** Between two looks at the free space. */
const spaceCheckBytes = 64 << 20;
/** Small layers compress arbitrarily well. */
const expansionFreeBytes = 16 << 20;

/**
 * One pass over a layer's bytes: hash, inflate, write, parse, index; the tar is hashed behind the writing, in a thread of its own. Lives in a worker
 * thread and blocks it; `write` resolves when the bytes given may be overwritten. Close it always; the file it wrote is the caller's.
 *
 * @throws EngineError `invalid-argument` for what is no tar, no whole compressed stream, or hostile; `out-of-range` beyond the limits.
 */
export class LayerPass implements Disposable {
  readonly #start: StartMessage;
  readonly #askForRoom: () => boolean;
  readonly #fd: number;
  readonly #tar: DataSource;
  /** Of what arrives, where that is not the tar itself. */
  #raw: Digester | undefined;
  readonly #tarDigest: FileDigest;
  readonly #indexer: LayerIndexer;
  readonly #parser: TarParser;
  #compression: Digested['compression'] | undefined;
  #inflater: Inflater | undefined;
  #readBytes = 0;
  #writtenBytes = 0;
  #writebackFrom = 0;
  #checkSpaceAt = 0;

  /** `askForRoom` is asked when there is no space to write to, and blocks until it knows. */
  constructor(start: StartMessage, digests: Follower, askForRoom: () => boolean) {
    this.#start = start;
    this.#askForRoom = askForRoom;
    this.#fd = openSync(start.tarPath, 'w+', 0o600);
    this.#tar = fileSource(this.#fd, '');
    this.#tarDigest = new FileDigest(start.tarPath, start.tarAlgorithm, digests);
    this.#indexer = new LayerIndexer(this.#tar);
    this.#parser = new TarParser({ entry: (entry) => this.#indexer.add(entry) });
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  async write(bytes: Buffer): Promise<void> {
    this.#compression ??= this.#sniff(bytes);
    this.#raw?.update(bytes);
    this.#readBytes += bytes.length;
    if (this.#inflater) await this.#inflater.write(bytes);
    else this.#take(bytes);
  }

  async finish(): Promise<Digested> {
    await this.#inflater?.end();
    this.#parser.end();
    const needs = this.#indexer.finish();
    fsyncSync(this.#fd);
    const tarDigest = await this.#tarDigest.finish();
    const rawDigest = this.#raw?.digest() ?? tarDigest;
    this.#tar.tag = hexOf(tarDigest).slice(0, 64);
    this.#tar.sizeBytes = this.#writtenBytes;
    return {
      type: 'digested',
      job: this.#start.job,
      digestHex: hexOf(rawDigest),
      compressedBytes: this.#readBytes,
      tarHex: hexOf(tarDigest),
      sizeBytes: this.#writtenBytes,
      compression: this.#compression ?? 'none',
      standsAlone: !needs.impliedParents && !needs.outsideHardlinks && !needs.opaqueRoot,
    };
  }

  /** Writes and syncs the index; after {@link finish}. */
  writeIndex(path: string): void {
    this.#retried(() => {
      const fd = openSync(path, 'w', 0o600);
      try {
        encodeIndex(this.#indexer).writeTo(fd);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    });
  }

  /** Once more when there was no space and some could be made. */
  #retried<T>(write: () => T): T {
    try {
      return write();
    } catch (error) {
      if (!isNoSpace(error) || !this.#askForRoom()) throw error;
      return write();
    }
  }

  [Symbol.dispose](): void {
    this.#inflater?.destroy();
    this.#tarDigest[Symbol.dispose]();
    closeSync(this.#fd);
  }

  #sniff(start: Buffer): Digested['compression'] {
    const compression = sniffCompression(start);
    if (compression === 'bzip2' || compression === 'xz')
      throw new EngineError('not-implemented', `ingest layer: ${compression} layers are not supported`);
    // A second digest is needed whenever the tar's is another: other bytes, or another algorithm.
    const { algorithm, tarAlgorithm } = this.#start;
    if (compression !== 'none' || algorithm !== tarAlgorithm) this.#raw = createDigester(algorithm);
    if (compression !== 'none') this.#inflater = new Inflater(compression, (bytes) => this.#take(bytes));
    return compression;
  }

  /** Takes bytes of the tar. */
  #take(bytes: Buffer): void {
    this.#guard(this.#writtenBytes + bytes.length);
    this.#parser.write(bytes);
    for (let done = 0; done < bytes.length; ) {
      const at = this.#writtenBytes + done;
      done += this.#retried(() => writeSync(this.#fd, bytes, done, bytes.length - done, at));
    }
    this.#writtenBytes += bytes.length;
    this.#tarDigest.advance(this.#writtenBytes);
    if (this.#writtenBytes - this.#writebackFrom < writebackBytes) return;
    sys.startWriteback(this.#fd, this.#writebackFrom, this.#writtenBytes - this.#writebackFrom);
    this.#writebackFrom = this.#writtenBytes;
  }

  /** A few kilobytes can inflate to terabytes. */
  #guard(sizeBytes: number): void {
    const { maxLayerBytes, maxExpansion, reserveBytes } = this.#start.limits;
    if (sizeBytes > maxLayerBytes) throw tooLarge(`larger than ${maxLayerBytes} bytes`);
    if (sizeBytes > expansionFreeBytes && sizeBytes > this.#readBytes * maxExpansion)
      throw tooLarge(`it inflates to more than ${maxExpansion} times its size`);
    if (sizeBytes < this.#checkSpaceAt) return;
    // What comes before the next look may not eat the reserve either; where there is none, the disk itself says when it is full.
    const wantedBytes = reserveBytes === 0 ? 0 : reserveBytes + spaceCheckBytes;
    const isShort = () => {
      const { bavail, bsize } = statfsSync(this.#start.tarPath);
      return bavail * bsize < wantedBytes;
    };
    if (isShort() && !(this.#askForRoom() && !isShort()))
      throw tooLarge(`it would leave less than ${reserveBytes} bytes free on the disk`);
    this.#checkSpaceAt = sizeBytes + spaceCheckBytes;
  }
}

function tooLarge(fact: string): EngineError {
  return new EngineError('out-of-range', `ingest layer: ${fact}`);
}

function hexOf(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/**
 * The transform goes on to fill the memory of a piece until its end, and then takes new: what is left to the collector starts collections that cost more than
 * the writing, what is freed at once lies where the next piece comes.
 */
function giveBack({ buffer, byteOffset, byteLength }: Buffer): void {
  if (
    buffer instanceof ArrayBuffer &&
    byteOffset + byteLength === inflatedChunkBytes &&
    buffer.byteLength === inflatedChunkBytes
  )
    buffer.transfer(0);
}

/** Node's inflating transform as a writer: inflation runs in the thread pool, what comes out is taken in this thread. */
class Inflater {
  readonly #transform: Transform;
  readonly #over: Promise<void>;
  #failure: unknown;
  #isOver = false;

  constructor(compression: 'gzip' | 'zstd', take: (bytes: Buffer) => void) {
    this.#transform = createDecompressor(compression);
    this.#transform.on('data', (bytes: Buffer) => {
      if (this.#failure !== undefined) return;
      try {
        take(bytes);
        giveBack(bytes);
      } catch (error) {
        this.#failure = error;
        this.#transform.destroy();
      }
    });
    this.#over = new Promise((resolve, reject) => {
      // Node ends early at zeros after the last gzip member and at whatever follows a zstd frame: passed over, but hashed.
      this.#transform.once('end', resolve);
      this.#transform.once('error', (error) => reject(inflateError(error, compression)));
      this.#transform.once('close', () => reject(this.#failure));
    });
    // A failure is told to whoever writes or ends.
    this.#over.then(
      () => {
        this.#isOver = true;
      },
      () => {},
    );
  }

  async write(bytes: Buffer): Promise<void> {
    if (this.#isOver) return;
    const taken = new Promise<void>((resolve) => {
      this.#transform.write(bytes, (error) => {
        if (!error) resolve();
      });
    });
    await Promise.race([taken, this.#over]);
  }

  async end(): Promise<void> {
    this.#transform.end();
    await this.#over;
  }

  destroy(): void {
    this.#transform.destroy();
  }
}
