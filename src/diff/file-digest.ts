import { closeSync, openSync, readSync } from 'node:fs';
import { Bell, Progress, stages } from '#concurrency';
import { EngineError } from '#errdefs';
import { createDigester, type Digest, type DigestAlgorithm } from '#oci';
import type { Finding, Follower } from './digest-protocol.ts';

/** Read and hashed at once, and told at once. */
const pieceBytes = 1 << 20;

/** A smaller file is read back and hashed by its writer's thread. */
const threadFromBytes = 4 << 20;

/**
 * The digest of a file while it is written: what is there is read back from the page cache and hashed beside the writing, so that no writer waits for its
 * hash. The file has to grow at its end alone. Dispose it always.
 */
export class FileDigest implements Disposable {
  readonly #path: string;
  readonly #algorithm: DigestAlgorithm;
  readonly #follower: Follower;
  readonly #progress: Progress;
  #found: Promise<Finding> | undefined;
  #writtenBytes = 0;
  #toldBytes = 0;

  constructor(path: string, algorithm: DigestAlgorithm, follower: Follower) {
    this.#path = path;
    this.#algorithm = algorithm;
    this.#follower = follower;
    this.#progress = new Progress(undefined, new Bell(follower.bell));
  }

  /** So many bytes are in the file now. */
  advance(writtenBytes: number): void {
    this.#writtenBytes = writtenBytes;
    if (writtenBytes < threadFromBytes || writtenBytes - this.#toldBytes < pieceBytes) return;
    this.#tell(stages.growing);
    this.#found ??= this.#follower.follow({
      path: this.#path,
      algorithm: this.#algorithm,
      progress: this.#progress.memory,
    });
  }

  /** Of everything that is in the file. */
  async finish(): Promise<Digest> {
    if (!this.#found) return digestOfFile(this.#path, this.#algorithm);
    this.#tell(stages.whole);
    const { digest, fault } = await this.#found;
    if (fault !== undefined) throw new EngineError('internal', `hash layer: ${fault}`);
    if (digest === undefined) throw new EngineError('canceled', 'hash layer: abandoned');
    return digest;
  }

  [Symbol.dispose](): void {
    this.#tell(stages.abandoned);
  }

  #tell(stage: number): void {
    this.#toldBytes = this.#writtenBytes;
    this.#progress.tell(this.#writtenBytes, stage);
  }
}

function digestOfFile(path: string, algorithm: DigestAlgorithm): Digest {
  const digester = createDigester(algorithm);
  const fd = openSync(path, 'r');
  try {
    const piece = Buffer.allocUnsafe(pieceBytes);
    for (let at = 0; ; ) {
      const readBytes = readSync(fd, piece, 0, pieceBytes, at);
      if (readBytes === 0) return digester.digest();
      digester.update(piece.subarray(0, readBytes));
      at += readBytes;
    }
  } finally {
    closeSync(fd);
  }
}
