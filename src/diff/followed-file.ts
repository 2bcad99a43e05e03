import { closeSync, openSync, readSync } from 'node:fs';
import { Progress, stages } from '#concurrency';
import { createDigester, type Digester } from '#oci';
import type { Following } from './digest-protocol.ts';

/** Two of them fit into a core's own cache, where hashing finds what was just read. */
const pieceBytes = 1 << 18;

/** A file that another thread writes, read back from the page cache as it grows. */
export class FollowedFile implements Disposable {
  readonly digester: Digester;
  readonly #progress: Progress;
  readonly #fd: number;
  readonly #piece = Buffer.allocUnsafeSlow(pieceBytes);
  #readBytes = 0;

  constructor({ path, algorithm, progress }: Following) {
    this.#progress = new Progress(progress);
    this.digester = createDigester(algorithm);
    this.#fd = openSync(path, 'r');
  }

  /** What can be read now; `over` when that is nothing and nothing will come. */
  look(): { readonly unreadBytes: number; readonly over: 'whole' | 'abandoned' | undefined } {
    const { writtenBytes, stage } = this.#progress.read();
    const unreadBytes = writtenBytes - this.#readBytes;
    if (stage === stages.abandoned) return { unreadBytes: 0, over: 'abandoned' };
    return { unreadBytes, over: unreadBytes === 0 && stage === stages.whole ? 'whole' : undefined };
  }

  /** The next bytes, of which {@link look} found so many at least: the caller's until the next call. */
  read(lengthBytes: number): Buffer {
    const piece = this.#piece.subarray(0, lengthBytes);
    for (let done = 0; done < piece.length; ) {
      const readBytes = readSync(this.#fd, piece, done, piece.length - done, this.#readBytes);
      if (readBytes === 0) throw new Error(`the file ends at byte ${this.#readBytes}`);
      done += readBytes;
      this.#readBytes += readBytes;
    }
    return piece;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
