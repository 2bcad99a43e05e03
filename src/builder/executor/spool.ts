import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { EngineError } from '#errdefs';
import { type ByteSource, fromBytes } from '#streams';

/** One file behind many: bodies that can be read only once are kept until the layer is written. Dispose closes it; the folder is the caller's. */
export class Spool implements AsyncDisposable {
  readonly #path: string;
  #file: FileHandle | undefined;
  #sizeBytes = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Keeps a body; the answer opens it again, any number of times. One body at a time. */
  async keep(body: ByteSource): Promise<() => ByteSource> {
    this.#file ??= await open(this.#path, 'wx', 0o600);
    const start = this.#sizeBytes;
    for await (const chunk of body) {
      const { bytesWritten } = await this.#file.write(chunk);
      if (bytesWritten !== chunk.length) throw new EngineError('unavailable', 'keep file: no space left on device');
      this.#sizeBytes += chunk.length;
    }
    const end = this.#sizeBytes;
    return () => (end === start ? fromBytes() : createReadStream(this.#path, { start, end: end - 1 }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close();
  }
}
