import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EngineError, isErrno } from '#errdefs';

/** Makes the entries of a folder (a rename, a create, an unlink) durable. */
export async function fsyncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

/**
 * Replaces `path` whole: temporary file beside it, write, fsync, rename, fsync the folder. A crash leaves the old
 * file or the new one. `durable: false` skips both fsyncs for files that a restart makes anew.
 */
export async function writeAtomic(
  path: string,
  data: Uint8Array | string,
  options: { mode?: number; durable?: boolean } = {},
): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const durable = options.durable ?? true;
  try {
    await using file = await open(temporary, 'wx', options.mode ?? 0o600);
    await file.writeFile(data);
    if (durable) await file.sync();
  } catch (error) {
    await removeIfPresent(temporary);
    throw error;
  }
  await rename(temporary, path);
  if (durable) await fsyncFolder(dirname(path));
}

/** Reads a small file whole; `undefined` when it is not there, `out-of-range` beyond the limit. */
export async function readBounded(path: string, limitBytes: number): Promise<Buffer | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return undefined;
    throw error;
  }
  await using held = file;
  const buffer = Buffer.alloc(limitBytes + 1);
  let sizeBytes = 0;
  while (sizeBytes < buffer.length) {
    const { bytesRead } = await held.read(buffer, sizeBytes, buffer.length - sizeBytes);
    if (bytesRead === 0) return buffer.subarray(0, sizeBytes);
    sizeBytes += bytesRead;
  }
  throw new EngineError('out-of-range', `read ${path}: larger than ${limitBytes} bytes`);
}

export async function removeIfPresent(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
