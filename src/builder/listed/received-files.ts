import { readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { fileEndBytes, fileHeadBytes, readFiles } from '#context-listing';
import { EngineError } from '#errdefs';
import type { ByteSource, FilePart } from '#streams';
import type { HashedHeader } from '../executor/index.ts';
import { BlockWriter } from './block-writer.ts';
import { FileHashes } from './file-hashes.ts';
import type { FileToHash } from './hash-protocol.ts';

export interface ExpectedFile {
  readonly line: number;
  readonly sizeBytes: number;
  /** Hashed before the content. */
  readonly header: HashedHeader;
}

const pieceBytes = 1 << 20;
const smallFileBytes = 1 << 16;

/** Contents as they came, streams one behind the other in one file. Dispose closes it; the folder is the caller's. */
export class ReceivedFiles implements AsyncDisposable {
  readonly #path: string;
  readonly #offsets = new Map<number, number>();
  readonly #hashes = new FileHashes();
  #file: FileHandle | undefined;
  #writer: BlockWriter | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  has(line: number): boolean {
    return this.#offsets.has(line);
  }

  /**
   * Stores and hashes what was asked for, in that order.
   * @throws `invalid-argument` when something else comes; what `note` throws
   */
  async take(
    source: ByteSource,
    expected: readonly ExpectedFile[],
    note: (at: number, digest: string, asListed: boolean) => void,
  ): Promise<void> {
    this.#file ??= await open(this.#path, 'wx+', 0o600);
    this.#writer ??= new BlockWriter(this.#file);
    const writer = this.#writer;
    const base = writer.sizeBytes;
    const asListed: boolean[] = [];
    let at = -1;
    const sink = {
      start: (entry: number, sizeBytes: number, offset: number) => {
        const next = expected[++at];
        if (next?.line !== entry || next.sizeBytes !== sizeBytes) throw unasked(entry);
        this.#offsets.set(entry, base + offset);
      },
      data: () => {},
      end: (isAsListed: boolean) => void asListed.push(isAsListed),
    };
    const hashing = this.#hashes.begin({
      path: this.#path,
      fd: this.#file.fd,
      files: placed(expected, base),
      found: (number, digest) => note(number, digest, asListed[number]!),
    });
    try {
      await readFiles(source, sink, (chunk) => {
        hashing.advance(writer.writtenBytes);
        return writer.append(chunk);
      });
      await writer.flush();
      if (at !== expected.length - 1) throw unasked(expected[at + 1]!.line);
      hashing.advance(writer.writtenBytes);
      await hashing.end();
    } catch (error) {
      await hashing.abandon();
      // What is not whole, or not what it was taken for, is not here.
      for (const { line } of expected) this.#offsets.delete(line);
      throw error;
    }
  }

  /** Undefined when it is not here. */
  place(line: number, lengthBytes: number): FilePart | undefined {
    const offset = this.#offsets.get(line);
    if (offset === undefined || !this.#file) return undefined;
    return { fd: this.#file.fd, offset, lengthBytes, staysOpen: true };
  }

  /** Small files were just written and are in the page cache, where reading them takes less than a trip through the thread pool. */
  async *read(line: number, sizeBytes: number): AsyncGenerator<Uint8Array> {
    const start = this.#offsets.get(line);
    const file = this.#file;
    if (start === undefined || !file) throw new EngineError('internal', `build context: file ${line} is not here`);
    for (let done = 0; done < sizeBytes; ) {
      const piece = Buffer.allocUnsafe(Math.min(pieceBytes, sizeBytes - done));
      const bytesRead =
        sizeBytes <= smallFileBytes
          ? readSync(file.fd, piece, 0, piece.length, start + done)
          : (await file.read(piece, 0, piece.length, start + done)).bytesRead;
      if (bytesRead === 0) throw new EngineError('data-loss', 'read build context: it ends early');
      done += bytesRead;
      yield piece.subarray(0, bytesRead);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#hashes[Symbol.asyncDispose]();
    await this.#file?.close();
  }
}

/** Where the contents of a stream will be that is stored from `base` on. */
function placed(expected: readonly ExpectedFile[], base: number): FileToHash[] {
  let end = base;
  return expected.map(({ header, sizeBytes }) => {
    const offset = end + fileHeadBytes;
    end = offset + sizeBytes + fileEndBytes;
    return { header, offset, sizeBytes };
  });
}

function unasked(entry: number): EngineError {
  return new EngineError('invalid-argument', `build context: file ${entry} is not as it was asked for`);
}
