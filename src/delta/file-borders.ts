import { TarParser } from '#archive';
import { EngineError } from '#errdefs';

/**
 * Where files of a tar begin and end: good places to cut, because headers differ (in their times) where contents do not. Bytes are shown to it in order;
 * what is no tar has no borders.
 */
export class FileBorders {
  #parser: TarParser | undefined;
  #borders: number[] = [];
  #at = 0;

  constructor() {
    this.#parser = new TarParser({
      entry: ({ dataOffset, storedBytes }) => {
        if (storedBytes > 0) this.#borders.push(dataOffset, dataOffset + storedBytes);
      },
    });
  }

  show(bytes: Buffer): void {
    try {
      this.#parser?.write(bytes);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      this.#parser = undefined;
    }
  }

  /** The first border after `offset`, of those known; offsets only grow. */
  after(offset: number): number {
    while (this.#at < this.#borders.length && this.#borders[this.#at]! <= offset) this.#at++;
    if (this.#at > 4096) {
      this.#borders = this.#borders.slice(this.#at);
      this.#at = 0;
    }
    return this.#borders[this.#at] ?? Number.POSITIVE_INFINITY;
  }
}
