import { type Timestamp, timestampNow } from '@bufbuild/protobuf/wkt';
import type { ListedContext } from '#api-types';
import type { ShownVertex } from '#builder';
import type { VertexStatus } from './vertex-status.ts';

/**
 * Files that come from the client before the build knows what it will do: shown under their vertex once it is told of them, with the times at which
 * it happened.
 */
export class Loading {
  readonly #status: VertexStatus;
  readonly #vertex: ShownVertex;
  readonly #label: string;
  readonly #started: Timestamp = timestampNow();
  #bytes = 0;
  #isShown = false;
  #ended: Timestamp | undefined;

  /** @param label of the part that counts bytes: `transferring context:` */
  constructor(status: VertexStatus, vertex: ShownVertex, label: string) {
    this.#status = status;
    this.#vertex = vertex;
    this.#label = label;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#isShown) this.#count(false);
  }

  /** All has come that was asked for so far. */
  end(): void {
    if (this.#ended) return;
    this.#ended = timestampNow();
    if (this.#isShown) this.#finish();
  }

  show(): void {
    if (this.#isShown) return;
    this.#isShown = true;
    this.#status.begin(this.#vertex, this.#started);
    this.#count(false);
    if (this.#ended) this.#finish();
  }

  /** A context whose contents are counted, and its listing of so many bytes. */
  counted<T extends Pick<ListedContext, 'send'>>(listed: T, listingBytes: number): T {
    this.add(listingBytes);
    const send: ListedContext['send'] = (entries, options) => this.#counting(listed.send(entries, options));
    return { ...listed, send };
  }

  async *#counting(contents: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of contents) {
      this.#bytes += chunk.byteLength;
      yield chunk;
    }
    this.add(0);
  }

  #finish(): void {
    this.#count(true);
    this.#status.done(this.#vertex.digest, this.#ended);
  }

  #count(done: boolean): void {
    this.#status.part(this.#vertex.digest, this.#label, { name: 'transferring', current: this.#bytes, done });
  }
}
