import { readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { fileEndBytes, fileHeadBytes, readFiles } from '#context-listing';
import { EngineError } from '#errdefs';
import type { ByteSource, FilePart } from '#streams';
import type { HashedHeader } from '../executor/index.ts';
import { BlockWriter } from './block-writer.ts';
import { FileHashes } from './file-hashes.ts';
import type { FileToHash } from './hash-protocol.ts';
import { Places } from './places.ts';

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
  readonly #places = new Places();
  readonly #hashes = new FileHashes();
  #file: FileHandle | undefined;
  #writer: BlockWriter | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  has(line: number): boolean {
    return this.#places.of(line) !== undefined;
  }

  /** These will be asked for: until they are here, or given up, they are on their way. */
  expect(lines: readonly number[]): void {
    this.#places.expect(lines);
  }

  giveUp(lines: readonly number[], reason: unknown): void {
    this.#places.giveUp(lines, reason);
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
    const files = placed(expected, base);
    const asListed: boolean[] = [];
    let at = -1;
    const sink = {
      start: (entry: number, sizeBytes: number) => {
        const next = expected[++at];
        if (next?.line !== entry || next.sizeBytes !== sizeBytes) throw unasked(entry);
      },
      data: () => {},
      end: (isAsListed: boolean) => void asListed.push(isAsListed),
    };
    const hashing = this.#hashes.begin({
      path: this.#path,
      fd: this.#file.fd,
      files,
      found: (number, digest) => note(number, digest, asListed[number]!),
    });
    const advance = this.#advancer(files, expected);
    // Also while nothing comes: what is here is of use before the rest.
    writer.onWritten = () => {
      hashing.advance(writer.writtenBytes);
      advance(writer.writtenBytes);
    };
    try {
      await readFiles(source, sink, (chunk) => {
        hashing.throwIfFailed();
        return writer.append(chunk);
      });
      await writer.flush();
      if (at !== expected.length - 1) throw unasked(expected[at + 1]!.line);
      await hashing.end();
    } catch (error) {
      writer.onWritten = undefined;
      await hashing.abandon();
      // What is not whole, or not what it was taken for, is not here.
      const lines = expected.map(({ line }) => line);
      this.#places.giveUp(lines, error);
      throw error;
    }
  }

  /** Tells of the files of a stream how far they have come. */
  #advancer(files: readonly FileToHash[], expected: readonly ExpectedFile[]): (writtenBytes: number) => void {
    const places = this.#places;
    let [begun, whole] = [0, 0];
    return (writtenBytes) => {
      places.grow(writtenBytes);
      for (; begun < files.length && files[begun]!.offset < writtenBytes; begun++) {
        places.begin(expected[begun]!.line, files[begun]!.offset);
      }
      for (; whole < begun && files[whole]!.offset + files[whole]!.sizeBytes <= writtenBytes; whole++) {
        places.put(expected[whole]!.line, files[whole]!.offset);
      }
    };
  }

  /** Of one on its way: its parts, as they come. Undefined when it is neither here nor on its way. */
  place(line: number, lengthBytes: number): FilePart | AsyncIterable<FilePart> | undefined {
    const offset = this.#places.of(line);
    if (offset !== undefined) return { fd: this.#file!.fd, offset, lengthBytes, staysOpen: true };
    return this.#places.isAwaited(line) ? this.#coming(line, lengthBytes) : undefined;
  }

  async *#coming(line: number, sizeBytes: number): AsyncGenerator<FilePart> {
    const start = await this.#places.begun(line);
    const end = start + sizeBytes;
    for (let offset = start; offset < end; ) {
      const lengthBytes = Math.min(end, await this.#places.beyond(line, offset)) - offset;
      yield { fd: this.#file!.fd, offset, lengthBytes, staysOpen: true };
      offset += lengthBytes;
    }
  }

  /** Small files were just written and are in the page cache, where reading them takes less than a trip through the thread pool. */
  async *read(line: number, sizeBytes: number): AsyncGenerator<Uint8Array> {
    const start = this.#places.of(line);
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
