import type { BlobInfo, ContentStore, PartialBlob } from '#content';
import type { ByteSource } from '#streams';

/** A copy of a source, made while the source is passed on. Disposing throws away what was not kept. */
export class KeptCopy implements AsyncDisposable {
  readonly #content: Pick<ContentStore, 'draft'>;
  #part: PartialBlob | undefined;

  constructor(content: Pick<ContentStore, 'draft'>) {
    this.#content = content;
  }

  /** The source as it is; the copy begins anew with each. @throws what keeps the copy from being written, a full disk say. */
  async *of(source: ByteSource): AsyncGenerator<Uint8Array> {
    await this.#part?.remove();
    // An upload that broke off may still take a chunk or two of the source it was given.
    const part = await this.#content.draft();
    this.#part = part;
    for await (const chunk of source) {
      await part.append(chunk);
      yield chunk;
    }
  }

  /** Makes it the blob, which a lease has to name. The caller vouches that the source had this digest. */
  async keep(blob: BlobInfo): Promise<void> {
    await this.#part?.adopt(blob);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#part?.remove();
  }
}
