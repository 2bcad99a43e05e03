import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { EngineError } from '#errdefs';
import { type MakeRoom, removeIfPresent, withRoom } from '#files';
import { createDigester, type Digest, type DigestAlgorithm, type Digester, digestAlgorithm } from '#oci';
import { hashFile } from './hashing.ts';
import type { BlobInfo, Writer, WriterOptions } from './types.ts';

export type Expected = NonNullable<WriterOptions['expected']>;

export interface IngestWriterOptions {
  readonly path: string;
  readonly expected: Expected;
  readonly signal: AbortSignal | undefined;
  /** For a write that finds no space. */
  readonly makeRoom: MakeRoom;
  /** Moves a finished file to its blob's place, durably. */
  readonly store: (path: string, blob: BlobInfo) => Promise<void>;
  /** Gives back the key and the descriptor's place. */
  readonly release: () => void;
}

/** Writes one ingest file, hashing as it goes. */
export class IngestWriter implements Writer {
  readonly #file: FileHandle;
  readonly #options: IngestWriterOptions;
  readonly #algorithm: DigestAlgorithm;
  /** Of what is written. */
  #digester: Digester;
  #closed = false;

  private constructor(file: FileHandle, digester: Digester, options: IngestWriterOptions) {
    this.#file = file;
    this.#digester = digester;
    this.#options = options;
    this.#algorithm = algorithmFor(options.expected.digest);
  }

  /** Opens or resumes: bytes already there are read again to rebuild the hash. */
  static async open(options: IngestWriterOptions): Promise<IngestWriter> {
    const file = await open(options.path, 'a+', 0o600);
    try {
      const { size } = await file.stat();
      const wanted = options.expected.sizeBytes ?? size;
      const kept = size > wanted ? 0 : size;
      if (kept !== size) await file.truncate(0);
      return new IngestWriter(file, await hashFile(file, algorithmFor(options.expected.digest), kept), options);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get offset(): number {
    return this.#digester.sizeBytes;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#check('write');
    const limit = this.#options.expected.sizeBytes;
    if (limit !== undefined && this.offset + chunk.byteLength > limit) {
      await this.abort();
      throw new EngineError('data-loss', `write blob ${this.#subject()}: more than its ${limit} bytes`);
    }
    for (let written = 0; written < chunk.byteLength; ) {
      const { bytesWritten } = await withRoom(this.#options.makeRoom, () => this.#file.write(chunk, written));
      this.#digester.update(chunk.subarray(written, written + bytesWritten));
      written += bytesWritten;
    }
  }

  async truncate(): Promise<void> {
    this.#check('truncate');
    await this.#file.truncate(0);
    this.#digester = createDigester(this.#algorithm);
  }

  async commit(expected: Expected = {}): Promise<BlobInfo> {
    this.#check('commit');
    const wanted = { ...this.#options.expected, ...expected };
    const digest = await this.#digest(wanted.digest);
    const fault = faultOf({ digest, sizeBytes: this.offset }, wanted);
    if (fault) {
      await this.abort();
      throw new EngineError('data-loss', `commit blob ${wanted.digest ?? digest}: ${fault}`);
    }
    const blob = { digest, sizeBytes: this.offset };
    this.#closed = true;
    try {
      await this.#file.sync();
      await this.#file.close();
      await this.#options.store(this.#options.path, blob);
    } finally {
      await this.#file.close();
      this.#options.release();
    }
    return blob;
  }

  async abort(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#file.close();
      await removeIfPresent(this.#options.path);
    } finally {
      this.#options.release();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#file.close();
    } finally {
      this.#options.release();
    }
  }

  /** The digest in the algorithm wanted; a late wish for another one costs a second read. */
  async #digest(wanted: Digest | undefined): Promise<Digest> {
    const algorithm = algorithmFor(wanted ?? this.#options.expected.digest);
    if (algorithm === this.#algorithm) return this.#digester.copy().digest();
    return (await hashFile(this.#file, algorithm, this.offset)).digest();
  }

  #check(operation: string): void {
    if (this.#closed)
      throw new EngineError('failed-precondition', `${operation} blob ${this.#subject()}: writer is closed`);
    this.#options.signal?.throwIfAborted();
  }

  #subject(): string {
    return this.#options.expected.digest ?? 'in flight';
  }
}

function algorithmFor(digest: Digest | undefined): DigestAlgorithm {
  return digest ? digestAlgorithm(digest) : 'sha256';
}

function faultOf(blob: BlobInfo, expected: Expected): string | undefined {
  if (expected.sizeBytes !== undefined && blob.sizeBytes !== expected.sizeBytes)
    return `size ${blob.sizeBytes}, want ${expected.sizeBytes}`;
  if (expected.digest !== undefined && blob.digest !== expected.digest) return `the bytes have digest ${blob.digest}`;
  return undefined;
}
