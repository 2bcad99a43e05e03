import type { FileHandle } from 'node:fs/promises';
import { hashFile } from '#content';
import type { Digest, DigestAlgorithm } from '#oci';
import type { HashedFile, HashThreads } from './hash-threads.ts';

/** A smaller blob is read and hashed sooner than a thread is told of it. */
const inlineBytes = 1 << 20;
/** The thread is told after so many more. */
const stepBytes = 1 << 20;

interface GrowingFile {
  readonly file: FileHandle;
  readonly path: string;
}

/** The hash of an upload's file: a large one's is made in a thread, behind the writing. */
export class UploadHash implements Disposable {
  readonly #growing: GrowingFile;
  readonly #algorithm: DigestAlgorithm;
  readonly #threads: HashThreads;
  #followed: HashedFile | undefined;
  #toldBytes = 0;

  constructor(growing: GrowingFile, algorithm: DigestAlgorithm, threads: HashThreads) {
    this.#growing = growing;
    this.#algorithm = algorithm;
    this.#threads = threads;
  }

  /** So many bytes are in the file, and will not change. */
  reach(writtenBytes: number): void {
    if (writtenBytes <= inlineBytes || writtenBytes < this.#toldBytes + stepBytes) return;
    this.#followed ??= this.#threads.follow(this.#growing.path, this.#algorithm);
    this.#followed.reach(writtenBytes);
    this.#toldBytes = writtenBytes;
  }

  /** The digest of so many bytes, which are all that is in the file. */
  async digest(writtenBytes: number): Promise<Digest> {
    if (this.#followed) return await this.#followed.digest(writtenBytes);
    return (await hashFile(this.#growing.file, this.#algorithm, writtenBytes)).digest();
  }

  [Symbol.dispose](): void {
    this.#followed?.end();
    this.#followed = undefined;
  }
}
