import { type FileHandle, open, stat } from 'node:fs/promises';
import type { Semaphore } from '#concurrency';
import { EngineError, isErrno } from '#errdefs';
import type { Digest } from '#oci';
import type { FilePart, Part } from '#streams';
import { type Piece, type Recipe, readRecipe, siblingBlob } from './recipe.ts';
import { offsetIn } from './stored-blob.ts';

/** Large enough that a gigabyte is a thousand trips through the thread pool. */
const chunkBytes = 1 << 20;

export interface ReadRequest {
  readonly path: string;
  readonly digest: Digest;
  readonly offset: number;
  readonly length: number | undefined;
  /** Bounds the descriptors readers hold at once. */
  readonly descriptors: Semaphore;
}

/** A blob's bytes: a run of its file where that holds them all, else chunks, each a buffer of its own and read ahead of the consumer. */
export async function* readBlob(request: ReadRequest): AsyncGenerator<Part> {
  using _descriptor = await request.descriptors.acquire();
  await using files = await OpenBlob.open(request);
  const { offset } = request;
  if (offset > files.sizeBytes) {
    throw new EngineError(
      'out-of-range',
      `read blob ${request.digest}: offset ${offset} is beyond its ${files.sizeBytes} bytes`,
    );
  }
  const end = Math.min(files.sizeBytes, offset + (request.length ?? files.sizeBytes));
  const run = files.run(offset, end);
  if (run) yield run;
  else yield* chunksOf(files, request, end);
}

async function* chunksOf(files: OpenBlob, { offset, digest }: ReadRequest, end: number): AsyncGenerator<Uint8Array> {
  let position = offset;
  let next = position < end ? files.read(position, end) : undefined;
  try {
    while (next) {
      const chunk = await next;
      next = undefined;
      if (chunk.length === 0)
        throw new EngineError('data-loss', `read blob ${digest}: it ended at ${position}, want ${end}`);
      position += chunk.length;
      if (position < end) {
        next = files.read(position, end);
        // The consumer may leave before it awaits this read.
        next.catch(() => {});
      }
      yield chunk;
    }
  } finally {
    await next?.catch(() => {});
  }
}

/** A blob's file, and those of others that its recipe names. */
class OpenBlob implements AsyncDisposable {
  readonly sizeBytes: number;
  readonly #file: FileHandle;
  readonly #recipe: Recipe | undefined;
  readonly #sources: ReadonlyMap<Digest, FileHandle>;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    {
      file,
      recipe,
      sources,
    }: { file: FileHandle; recipe: Recipe | undefined; sources: ReadonlyMap<Digest, FileHandle> },
    sizeBytes: number,
    resources: AsyncDisposableStack,
  ) {
    this.#file = file;
    this.#recipe = recipe;
    this.#sources = sources;
    this.sizeBytes = sizeBytes;
    this.#resources = resources;
  }

  /** As {@link StoredBlob}'s. @throws `not-found`. */
  static async open({ path, digest }: ReadRequest): Promise<OpenBlob> {
    try {
      for (;;) {
        await using resources = new AsyncDisposableStack();
        const file = resources.use(await open(path, 'r'));
        const recipe = readRecipe(path);
        const { ino, size } = await file.stat();
        if ((await stat(path)).ino !== ino) continue;
        const sources = new Map<Digest, FileHandle>();
        for (const source of recipe?.sources ?? [])
          sources.set(source, resources.use(await open(siblingBlob(path, source), 'r')));
        return new OpenBlob({ file, recipe, sources }, size, resources.move());
      }
    } catch (error) {
      if (isErrno(error, 'ENOENT'))
        throw new EngineError('not-found', `open blob ${digest}: not found`, { cause: error });
      throw error;
    }
  }

  /** Those bytes where the file holds them all. */
  run(offset: number, end: number): FilePart | undefined {
    return this.#recipe ? undefined : { fd: this.#file.fd, offset, lengthBytes: end - offset };
  }

  /** The chunk from `position` on, as the recipe says; empty where a file ends early. */
  async read(position: number, end: number): Promise<Buffer> {
    const stop = Math.min(end, position + chunkBytes);
    const chunk = Buffer.allocUnsafeSlow(stop - position);
    let done = 0;
    for (const piece of this.#recipe!.pieces(position, stop)) {
      const part = chunk.subarray(done, done + piece.lengthBytes);
      const read = await this.#readPiece(piece, part);
      done += read;
      if (read < part.length) break;
    }
    return chunk.subarray(0, done);
  }

  async #readPiece(piece: Piece, target: Buffer): Promise<number> {
    const { segment, lengthBytes } = piece;
    const from = offsetIn(piece);
    if (segment && segment.source === undefined)
      return this.#recipe!.literals.copy(target, 0, from, from + lengthBytes);
    const file = segment?.source === undefined ? this.#file : this.#sources.get(segment.source)!;
    return (await file.read(target, 0, lengthBytes, from)).bytesRead;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}
