import { availableParallelism } from 'node:os';
import { EngineError } from '#errdefs';
import { createDigester, type Digest } from '#oci';
import { type ByteSource, giveBack } from '#streams';
import { gzipFormat } from './gzip.ts';
import { zstdFormat } from './zstd.ts';

export interface Compression {
  readonly format: 'gzip' | 'zstd';
  readonly level?: number;
}

export interface CompressOptions extends Partial<Compression> {
  /** Blocks in work at once in Node's thread pool. */
  readonly parallel?: number;
}

/** How blocks of a tar become a compressed stream. One per stream. */
export interface BlockFormat {
  readonly blockBytes: number;
  readonly header?: Buffer;
  /** Called in order; `before` is the block before. */
  compress(block: Uint8Array, before: Uint8Array | undefined): Promise<Buffer>;
  /** What ends the stream. */
  end(tarBytes: number): Buffer | undefined;
}

interface Pending {
  readonly compressed: Promise<Buffer>;
  readonly before: Uint8Array | undefined;
}

/** What a compressed layer turned out to be. */
export interface CompressedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/**
 * A layer's tar compressed: blocks in parallel, joined to a stream that any gunzip or zstd reads. The same bytes, format and level give the same
 * result. Iterate it once; then {@link result} tells digest and size. The source's chunks are taken: their memory may be gone afterwards.
 */
export class CompressedLayer implements AsyncIterable<Uint8Array> {
  readonly #source: ByteSource;
  readonly #format: BlockFormat;
  readonly #parallel: number;
  readonly #digester = createDigester();
  #sizeBytes = 0;
  #result: CompressedBlob | undefined;

  constructor(source: ByteSource, options: CompressOptions = {}) {
    this.#source = source;
    this.#format = options.format === 'zstd' ? zstdFormat(options.level) : gzipFormat(options.level);
    this.#parallel = options.parallel ?? availableParallelism() + 1;
  }

  /** @throws `failed-precondition` before the last byte was taken. */
  get result(): CompressedBlob {
    if (!this.#result)
      throw new EngineError('failed-precondition', 'compress layer: the stream was not read to its end');
    return this.#result;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const { header, blockBytes } = this.#format;
    if (header) yield this.#count(header);
    const pending: Pending[] = [];
    let tarBytes = 0;
    let before: Uint8Array | undefined;
    try {
      for await (const block of blocksOf(this.#source, blockBytes)) {
        tarBytes += block.byteLength;
        pending.push({ compressed: this.#format.compress(block, before), before });
        before = block;
        if (pending.length >= this.#parallel) yield await this.#oldest(pending);
      }
      while (pending.length > 0) yield await this.#oldest(pending);
    } finally {
      await Promise.allSettled(pending.map(({ compressed }) => compressed));
    }
    const end = this.#format.end(tarBytes);
    if (end) yield this.#count(end);
    this.#result = { digest: this.#digester.digest(), sizeBytes: this.#sizeBytes };
  }

  /** The oldest of these, compressed: with it the block before is done. */
  async #oldest(pending: Pending[]): Promise<Buffer> {
    const { compressed, before } = pending.shift()!;
    const bytes = await compressed;
    if (before) giveBack(before);
    return this.#count(bytes);
  }

  #count(bytes: Buffer): Buffer {
    this.#digester.update(bytes);
    this.#sizeBytes += bytes.length;
    return bytes;
  }
}

/** The source cut into blocks of one size whatever its chunks are. One that is such a block is taken as it is. */
async function* blocksOf(source: ByteSource, blockBytes: number): AsyncGenerator<Uint8Array> {
  let block = Buffer.allocUnsafeSlow(blockBytes);
  let filledBytes = 0;
  for await (const chunk of source) {
    if (filledBytes === 0 && chunk.byteLength === blockBytes) {
      yield chunk;
      continue;
    }
    for (let done = 0; done < chunk.byteLength; ) {
      const lengthBytes = Math.min(blockBytes - filledBytes, chunk.byteLength - done);
      block.set(chunk.subarray(done, done + lengthBytes), filledBytes);
      filledBytes += lengthBytes;
      done += lengthBytes;
      if (filledBytes < blockBytes) continue;
      yield block;
      block = Buffer.allocUnsafeSlow(blockBytes);
      filledBytes = 0;
    }
    giveBack(chunk);
  }
  if (filledBytes > 0) yield block.subarray(0, filledBytes);
}

export function compressLayer(source: ByteSource, options: CompressOptions = {}): CompressedLayer {
  return new CompressedLayer(source, options);
}
