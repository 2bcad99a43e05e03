import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { endOfArchive, packHeader, packPadding, utf8FromBytes } from '#archive';
import { fileEnd, fileHead, type ListedEntry, type ListedFile } from '#context-listing';
import { EngineError, isErrno } from '#errdefs';
import { placeOf, stampOf } from './folder-walk.ts';

const pieceBytes = 1 << 20;
/** Room that a head always finds. */
const headRoom = 64;

/**
 * Contents of some entries as the listing's stream of files, in pieces of about 1 MB. A file is read as long as it was listed, and said to have changed
 * when it has. @throws `data-loss` for one that is shorter now, or gone
 */
export async function* sendFiles(
  root: string,
  entries: readonly ListedEntry[],
  numbers: readonly number[],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let piece = Buffer.allocUnsafe(pieceBytes);
  let fill = 0;
  const put = (bytes: Uint8Array) => {
    piece.set(bytes, fill);
    fill += bytes.length;
  };
  for (const number of numbers) {
    signal.throwIfAborted();
    const entry = entries[number];
    if (entry?.type !== 'file') throw new EngineError('data-loss', `send build context: entry ${number} is no file`);
    if (pieceBytes - fill < headRoom) {
      yield piece.subarray(0, fill);
      [piece, fill] = [Buffer.allocUnsafe(pieceBytes), 0];
    }
    put(fileHead(number, entry.sizeBytes));
    using file = new OpenFile(root, entry);
    for (let leftBytes = entry.sizeBytes; leftBytes > 0; ) {
      if (fill === pieceBytes) {
        yield piece;
        [piece, fill] = [Buffer.allocUnsafe(pieceBytes), 0];
      }
      const read = file.read(piece, fill, Math.min(leftBytes, pieceBytes - fill));
      fill += read;
      leftBytes -= read;
    }
    if (fill === pieceBytes) {
      yield piece;
      [piece, fill] = [Buffer.allocUnsafe(pieceBytes), 0];
    }
    put(fileEnd(file.isAsListed()));
  }
  if (fill > 0) yield piece.subarray(0, fill);
}

/** The same entries as a tar. */
export async function* packEntries(root: string, entries: readonly ListedEntry[]): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    const capability = entry.type === 'file' ? entry.capability : undefined;
    const xattrs = new Map(capability ? [['security.capability', capability]] : []);
    yield packHeader({ ...entry, xattrs, mtime: { sec: entry.mtimeSec, nsec: 0 } });
    if (entry.type !== 'file' || entry.sizeBytes === 0) continue;
    using file = new OpenFile(root, entry);
    for (let leftBytes = entry.sizeBytes; leftBytes > 0; ) {
      const piece = Buffer.allocUnsafe(Math.min(leftBytes, pieceBytes));
      const read = file.read(piece, 0, piece.length);
      leftBytes -= read;
      yield piece.subarray(0, read);
    }
    yield packPadding(entry.sizeBytes);
  }
  yield endOfArchive;
}

/** Reading without waiting: nearly all files are in the page cache, where a trip through the thread pool takes longer than the file. */
class OpenFile implements Disposable {
  readonly #entry: ListedFile;
  readonly #fd: number | undefined;
  #at = 0;

  constructor(root: string, entry: ListedFile) {
    this.#entry = entry;
    if (entry.content) return;
    try {
      // What has become a link or a fifo since it was listed is neither followed nor waited for.
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
      this.#fd = openSync(placeOf(root, entry.path), flags);
    } catch (error) {
      if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].some((code) => isErrno(error, code))) throw this.#changed(error);
      throw error;
    }
  }

  /** At least one byte. */
  read(into: Buffer, offset: number, length: number): number {
    const { content } = this.#entry;
    const read = content
      ? Buffer.from(content.buffer, content.byteOffset + this.#at, Math.min(length, content.length - this.#at)).copy(
          into,
          offset,
        )
      : readSync(this.#fd!, into, offset, length, null);
    if (read === 0) throw this.#changed(undefined);
    this.#at += read;
    return read;
  }

  /** Once all was read: nothing has written to it since it was listed. */
  isAsListed(): boolean {
    if (this.#fd === undefined) return true;
    return stampOf(fstatSync(this.#fd, { bigint: true })) === this.#entry.stamp;
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }

  #changed(cause: unknown): EngineError {
    const path = utf8FromBytes(this.#entry.path);
    return new EngineError('data-loss', `build context: ${path} changed while it was read`, { cause });
  }
}
