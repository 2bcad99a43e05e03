import { type DeltaHeader, type DeltaLayer, maxPieceBytes, Patcher, parseDeltaHeader } from '#delta';
import { EngineError, kindOf, messageOf } from '#errdefs';
import type { Lease, Metadata } from '#metadata';
import { type DiffID, type Digest, digestOf } from '#oci';
import { ByteQueue, readAll } from '#streams';
import { baseMissing, cutDelta, mayGoOn } from './delta-errors.ts';
import { parsePieceName } from './delta-names.ts';
import type { LoadArchive, OnDelta } from './load-archive.ts';
import type { LoadLayers } from './load-layers.ts';
import { blobPath } from './save-image.ts';
import type { TransferStores } from './types.ts';

/** What of a layer's bytes may wait to be ingested while the next piece is applied. */
const queueBytes = 4 << 20;
/** The layers that a load which failed has put together are there for the next try, for so long. */
const keptMs = 24 * 3_600_000;

/** A layer on its way from its pieces into the store. */
interface OpenLayer {
  readonly layer: DeltaLayer;
  readonly queue: ByteQueue;
  /** Ends when the last byte was taken, or with what is wrong. */
  readonly passed: Promise<void>;
  madeBytes: number;
  pieces: number;
}

export interface LoadDeltaOptions {
  readonly stores: Pick<TransferStores, 'content'> & {
    readonly metadata: Pick<Metadata, 'layers' | 'lease' | 'dropLeft'>;
  };
  /** For the base layers: they stay while the load lasts. */
  readonly lease: Lease;
  readonly layers: LoadLayers;
}

/** The layers of an archive of differences, put together as their pieces pass. Idle for any other archive. */
export class LoadDelta implements OnDelta, AsyncDisposable {
  readonly #options: LoadDeltaOptions;
  readonly #listed = new Map<Digest, DeltaLayer>();
  /** Were in the store before. */
  readonly #here = new Set<Digest>();
  readonly #finished = new Set<Digest>();
  #header: DeltaHeader | undefined;
  #kept: Lease | undefined;
  #patcher: Patcher | undefined;
  #open: OpenLayer | undefined;

  constructor(options: LoadDeltaOptions) {
    this.#options = options;
  }

  async header(bytes: Buffer): Promise<void> {
    const header = parseDeltaHeader(bytes);
    const { stores, lease, layers } = this.#options;
    this.#header = header;
    this.#kept = await stores.metadata.lease({ ttlMs: keptMs });
    await lease.add(...header.bases.map(({ digest }) => digest));
    const missing: DeltaLayer[] = [];
    for (const layer of header.requires) if (!(await this.#isHere(layer))) missing.push(layer);
    if (missing.length > 0) throw baseMissing(header, missing);
    for (const layer of header.layers) {
      this.#listed.set(layer.digest, layer);
      if (await layers.known(blobPath(layer.digest), layer.digest, layer.sizeBytes)) this.#here.add(layer.digest);
    }
    this.#patcher = new Patcher(await Promise.all(header.bases.map((base) => this.#fileOf(base))));
  }

  readonly piece: OnDelta['piece'] = async ({ name, body }) => {
    const what = parsePieceName(name);
    const layer = what && this.#listed.get(what.layer);
    if (!what || !layer) throw malformed(`${name} is no piece of a layer its header lists`);
    if (this.#here.has(layer.digest)) return;
    if (what.number === 0 && !this.#open && !this.#finished.has(layer.digest)) await this.#begin(layer);
    const open = this.#open;
    if (open?.layer !== layer || open.pieces++ !== what.number)
      throw malformed(`${name} does not follow the piece before it`);
    const bytes = await readAll(body, maxPieceBytes, name);
    if (digestOf(bytes) !== what.piece)
      throw new EngineError('data-loss', `load delta: ${name}: its bytes do not have that digest`);
    await this.#apply(open, bytes);
  };

  /** The archive was read to its end. @throws `invalid-argument` when something is not there. */
  requireWhole(archive: LoadArchive): void {
    if (!this.#header) return;
    const isWhole = this.#header.layers.every(({ digest }) => this.#here.has(digest) || this.#finished.has(digest));
    if (!isWhole || !archive.document('manifest.json')) throw new EngineError('invalid-argument', 'unexpected EOF');
  }

  /** A layer has begun to come and has not come whole. */
  get isMidLayer(): boolean {
    return this.#open !== undefined;
  }

  /** True when another try can go on from what there is so far. */
  mayGoOn(error: unknown): boolean {
    return this.#header !== undefined && mayGoOn(error);
  }

  /** Keeps what was put together when another try can go on from it. Answers what to say of an archive that was cut. */
  async failed(error: unknown): Promise<EngineError | undefined> {
    if (!this.#header || !this.mayGoOn(error)) return undefined;
    await this.#kept?.leave(keptMs);
    const whole = this.#here.size + this.#finished.size;
    return cutDelta(error, whole, this.#header.layers.length);
  }

  /** Images have the layers now. */
  async succeeded(): Promise<void> {
    for (const digest of this.#here) await this.#options.stores.metadata.dropLeft(digest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kept?.[Symbol.asyncDispose]();
    await this.#patcher?.[Symbol.asyncDispose]();
  }

  #isHere({ digest, sizeBytes }: DeltaLayer): Promise<boolean> {
    return this.#options.layers.known(blobPath(digest), digest, sizeBytes);
  }

  /** Without a path when it is not here, or not whole: pieces may do without it. */
  async #fileOf({
    digest,
    sizeBytes,
  }: DeltaLayer): Promise<{ digest: Digest; sizeBytes: number; path: string | undefined }> {
    const { content, metadata } = this.#options.stores;
    const file = metadata.layers.get(digest as DiffID) && (await content.stat(digest));
    return { digest, sizeBytes, path: file?.sizeBytes === sizeBytes ? content.path(digest) : undefined };
  }

  async #begin(layer: DeltaLayer): Promise<void> {
    await this.#kept!.add(layer.digest);
    const queue = new ByteQueue({ limitBytes: queueBytes });
    const { digest, sizeBytes } = layer;
    const passed = this.#options.layers.take({ name: blobPath(digest), digest, sizeBytes, body: queue });
    // Awaited by whoever comes next.
    passed.catch(() => {});
    this.#open = { layer, queue, passed, madeBytes: 0, pieces: 0 };
  }

  async #apply(open: OpenLayer, bytes: Buffer): Promise<void> {
    const { queue, passed, layer } = open;
    const run = await this.#patched(open, bytes);
    if (run.offset !== open.madeBytes) throw malformed(`a piece of ${layer.digest} is of another place`);
    for (const part of run.parts) {
      open.madeBytes += part.byteLength;
      if (open.madeBytes > layer.sizeBytes)
        throw malformed(`${layer.digest} gets more than its ${layer.sizeBytes} bytes`);
      if (!queue.push(part)) await Promise.race([queue.drained(), passed]);
    }
    if (open.madeBytes < layer.sizeBytes) return;
    queue.end();
    await passed;
    this.#finished.add(layer.digest);
    this.#open = undefined;
  }

  async #patched({ layer, pieces }: OpenLayer, bytes: Buffer): Promise<Awaited<ReturnType<Patcher['apply']>>> {
    try {
      return await this.#patcher!.apply(bytes);
    } catch (error) {
      const message = `load delta: layer ${layer.digest}, piece ${pieces - 1}: ${messageOf(error)}`;
      throw new EngineError(kindOf(error), message, { cause: error });
    }
  }
}

function malformed(fact: string): EngineError {
  return new EngineError('invalid-argument', `load delta: ${fact}`);
}
