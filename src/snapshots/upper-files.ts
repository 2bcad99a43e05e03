import { closeSync, constants, fstatSync, openSync, read, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { type ByteString, bytesOf } from '#archive';
import { isErrno } from '#errdefs';
import { resolveFlags, sys } from '#sys';

const readAsync = promisify(read);
const chunkBytes = 1 << 20;
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** Not there any more, or no plain way to it. */
const vanished = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'];

/**
 * Data of the files below a folder that a running container may be changing. A step of the path, or the file itself, may have
 * become a symlink to anywhere a moment ago: the kernel refuses to follow (CVE-2018-15664). What vanished reads as zeros.
 */
export class UpperFiles implements Disposable {
  readonly #rootFd: number;

  constructor(root: ByteString) {
    this.#rootFd = openSync(bytesOf(root), constants.O_RDONLY | constants.O_DIRECTORY);
  }

  [Symbol.dispose](): void {
    closeSync(this.#rootFd);
  }

  /** As many of its first bytes as there is room for. */
  readWhole(path: ByteString, into: Buffer): void {
    into.fill(0, sys.readFileInRoot(this.#rootFd, bytesOf(path), into));
  }

  /** The first `sizeBytes` in chunks. */
  async *readChunks(path: ByteString, sizeBytes: number, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
    using file = this.#open(path);
    for (let at = 0; at < sizeBytes; ) {
      signal?.throwIfAborted();
      const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, sizeBytes - at));
      const bytesRead = file ? (await readAsync(file.fd, buffer, 0, buffer.length, at)).bytesRead : 0;
      const chunk = bytesRead > 0 ? buffer.subarray(0, bytesRead) : buffer.fill(0);
      yield chunk;
      at += chunk.length;
    }
  }

  /** The first `sizeBytes` into pieces of memory that `room` gives and `done` takes. Blocking. */
  readInto(
    path: ByteString,
    sizeBytes: number,
    { room, done }: { room: () => Buffer; done: (bytes: number) => void },
  ): void {
    using file = this.#open(path);
    for (let at = 0; at < sizeBytes; ) {
      const piece = room().subarray(0, sizeBytes - at);
      const bytesRead = file ? readSync(file.fd, piece, 0, piece.length, at) : 0;
      if (bytesRead === 0) piece.fill(0);
      at += bytesRead || piece.length;
      done(bytesRead || piece.length);
    }
  }

  #open(path: ByteString): (Disposable & { readonly fd: number }) | undefined {
    let fd: number;
    try {
      fd = sys.openInRoot(this.#rootFd, bytesOf(path), openFlags, 0, resolveFlags.noSymlinks);
    } catch (error) {
      if (vanished.some((code) => isErrno(error, code))) return undefined;
      throw error;
    }
    // Not by Node, which warns of descriptors that a thread closes and has not opened.
    const file = { fd, [Symbol.dispose]: () => sys.close(fd) };
    if (fstatSync(fd).isFile()) return file;
    file[Symbol.dispose]();
    return undefined;
  }
}
