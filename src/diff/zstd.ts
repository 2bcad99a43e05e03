import { promisify } from 'node:util';
import { constants, zstdCompress, zstdCompressSync } from 'node:zlib';
import type { BlockFormat } from './compressed-layer.ts';

const compressFrame = promisify(zstdCompress) as (
  block: Uint8Array,
  options: { params: Record<number, number> },
) => Promise<Buffer>;

/** What zstd itself starts from. */
const defaultLevel = 3;
/** Frames know nothing of each other: large ones lose little by it. */
const blockBytes = 4 << 20;

/** RFC 8878 §3: one frame after the other is one stream to any decoder. `level`: 1 to 19. */
export function zstdFormat(level = defaultLevel): BlockFormat {
  const options = { params: { [constants.ZSTD_c_compressionLevel]: level } };
  return {
    blockBytes,
    compress: (block) => compressFrame(block, options),
    end: (tarBytes) => (tarBytes === 0 ? zstdCompressSync(Buffer.alloc(0), options) : undefined),
  };
}
