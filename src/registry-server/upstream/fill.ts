import { randomUUID } from 'node:crypto';
import { EngineError, isKind } from '#errdefs';
import { type Digest, digestAlgorithm } from '#oci';
import type { BlobAnswer } from '#registry';
import type { ByteSource } from '#streams';
import type { Stores } from '../registry.ts';
import type { ByteRange, Upload } from '../store/blob-store.ts';
import { keepBlob } from '../uploads.ts';

const readChunkBytes = 1 << 20;
/** Tries in a row that bring nothing. */
const maxFruitlessTries = 4;

export interface FillParts {
  readonly stores: Stores;
  readonly name: string;
  readonly digest: Digest;
  /** Bytes from an offset on; a server may begin at zero all the same. */
  readonly fetch: (offset: number, signal: AbortSignal) => Promise<BlobAnswer>;
  readonly signal: AbortSignal;
}

/**
 * A blob on its way from upstream into the store, which many clients read while it grows. The last byte is given to nobody before the digest
 * has been found right, so that no client takes a wrong blob for a whole one. Goes on when the clients have left.
 */
export class Fill {
  readonly #parts: FillParts;
  readonly #sized = Promise.withResolvers<number | undefined>();
  #sizeBytes: number | undefined;
  #upload: Upload | undefined;
  #state: 'filling' | 'kept' | 'failed' = 'filling';
  #failure: unknown;
  #wake: (() => void)[] = [];
  /** Never rejects: readers are told. */
  readonly finished: Promise<void>;

  constructor(parts: FillParts) {
    this.#parts = parts;
    this.#sized.promise.catch(() => {});
    this.finished = this.#run();
  }

  /** The repository it is for. */
  get name(): string {
    return this.#parts.name;
  }

  /** Of the whole blob, when upstream says it. @throws what upstream answered. */
  size(): Promise<number | undefined> {
    return this.#sized.promise;
  }

  async *read(range?: ByteRange): AsyncGenerator<Uint8Array> {
    let offset = range?.offset ?? 0;
    const end = range ? range.offset + range.length : Number.POSITIVE_INFINITY;
    while (offset < end) {
      if (this.#state === 'failed') throw this.#failure;
      if (this.#state === 'kept') return yield* this.#readKept(offset, end);
      const arrived = Math.min(end, this.#readableBytes());
      if (offset >= arrived) {
        await new Promise<void>((resolve) => this.#wake.push(resolve));
        continue;
      }
      const chunk = await this.#readGrowing(offset, Math.min(readChunkBytes, arrived - offset));
      offset += chunk.byteLength;
      if (chunk.byteLength > 0) yield chunk;
    }
  }

  #readableBytes(): number {
    const arrived = this.#upload?.sizeBytes ?? 0;
    return this.#sizeBytes === undefined ? Math.max(0, arrived - 1) : Math.min(arrived, this.#sizeBytes - 1);
  }

  async #readGrowing(offset: number, length: number): Promise<Uint8Array> {
    try {
      return await this.#upload!.read(offset, length);
    } catch (error) {
      // The file was put into place meanwhile.
      if (this.#state === 'filling') await this.finished;
      if (this.#state === 'failed') throw error;
      return new Uint8Array();
    }
  }

  async *#readKept(offset: number, end: number): AsyncGenerator<Uint8Array> {
    const { stores, digest } = this.#parts;
    const sizeBytes = (await stores.blobs.stat(digest)) ?? 0;
    yield* stores.blobs.open(digest, { offset, length: Math.min(end, sizeBytes) - offset });
  }

  async #run(): Promise<void> {
    const { stores, name, digest } = this.#parts;
    try {
      this.#upload = await stores.blobs.beginUpload(`fill-${randomUUID()}`, digestAlgorithm(digest));
      await this.#fetchAll(this.#upload);
      await keepBlob(stores, name, this.#upload, digest);
      this.#state = 'kept';
    } catch (error) {
      this.#state = 'failed';
      this.#failure = error;
      this.#sized.reject(error);
      await this.#upload?.abort().catch(() => {});
    }
    this.#notify();
  }

  /** Goes on where a broken stream stopped. */
  async #fetchAll(upload: Upload): Promise<void> {
    const { fetch, signal, digest } = this.#parts;
    for (let fruitless = 0; ; ) {
      const before = upload.sizeBytes;
      try {
        const { source, offset, sizeBytes } = await fetch(before, signal);
        this.#sizeBytes = sizeBytes;
        this.#sized.resolve(sizeBytes);
        await upload.append(this.#watched(without(source, before - offset)));
        if (sizeBytes === undefined || upload.sizeBytes === sizeBytes) return;
        throw new EngineError('unavailable', `fetch blob ${digest}: ${upload.sizeBytes} bytes of ${sizeBytes} came`);
      } catch (error) {
        fruitless = upload.sizeBytes > before ? 0 : fruitless + 1;
        const isLonger = this.#sizeBytes !== undefined && upload.sizeBytes > this.#sizeBytes;
        const isPassing = isKind(error, 'unavailable') && upload.sizeBytes > 0 && !isLonger;
        if (!isPassing || signal.aborted || fruitless >= maxFruitlessTries) throw error;
      }
    }
  }

  /** Who asks for the next chunk has written those before. */
  async *#watched(source: ByteSource): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      yield chunk;
      this.#notify();
    }
  }

  #notify(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}

async function* without(source: ByteSource, skipBytes: number): AsyncGenerator<Uint8Array> {
  let skip = skipBytes;
  for await (const chunk of source) {
    const rest = chunk.subarray(Math.min(skip, chunk.byteLength));
    skip -= chunk.byteLength - rest.byteLength;
    if (rest.byteLength > 0) yield rest;
  }
}
