import { open } from 'node:fs/promises';
import { EngineError, isErrno } from '#errdefs';

/** A file to be sent. That it cannot be opened is said before anything is sent, and not taken for a failure of the connection. @throws `not-found`. */
export async function openInput(path: string): Promise<AsyncIterable<Uint8Array>> {
  try {
    const file = await open(path);
    return file.createReadStream({ highWaterMark: 1 << 20 }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw new EngineError('not-found', `open ${path}: no such file or directory`, { cause: error });
  }
}
