import { isErrno } from '#errdefs';
import { log } from '#log';
import { loadAddon } from '#sys';

/**
 * Deflate blocks that are not the last of their stream and end at a byte boundary. `window` is what the block may refer back to, at most 32 KiB. Works in Node's thread pool;
 * neither may change meanwhile.
 */
export type DeflateBlock = (block: Uint8Array, window: Uint8Array) => Promise<Buffer>;

interface Native {
  readonly deflate: DeflateBlock;
}

let found: { readonly deflate: DeflateBlock | undefined } | undefined;

/** What `native/deflate.c` does; `undefined` where it is not built, or its library is gone. */
export function fastDeflate(): DeflateBlock | undefined {
  found ??= { deflate: load() };
  return found.deflate;
}

function load(): DeflateBlock | undefined {
  try {
    return loadAddon<Native>('deflate')?.deflate;
  } catch (error) {
    if (!isErrno(error, 'ERR_DLOPEN_FAILED')) throw error;
    log.warn('layers are compressed by zlib: its faster stand-in cannot be loaded', { error });
    return undefined;
  }
}
