import { promisify } from 'node:util';
import { constants, crc32, deflateRaw } from 'node:zlib';
import type { BlockFormat } from './compressed-layer.ts';

const deflateBlock = promisify(deflateRaw) as (
  block: Uint8Array,
  options: { level: number; dictionary?: Uint8Array; finishFlush: number },
) => Promise<Buffer>;

/**
 * Docker pushes with 6. Images of Debian, of Python and of node_modules are 8 to 9 % larger with 1, and take 2 to 2.4 times less processor time, which is
 * nearly all of a push.
 */
const defaultLevel = 1;
const blockBytes = 1 << 20;
/** Deflate's window: what a block may refer back to. */
const windowBytes = 32 << 10;
/** RFC 1952 §2.3: no name, no time, unknown system, so that equal layers give equal bytes. */
const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
/** An empty last block ends the deflate stream. */
const lastBlock = Buffer.from([0x03, 0x00]);

/** One gzip member that any gunzip reads: each block has the window of the one before. `level`: 1 to 9. */
export function gzipFormat(level = defaultLevel): BlockFormat {
  let crc = 0;
  return {
    blockBytes,
    header,
    compress(block, before) {
      crc = crc32(block, crc);
      const window = before?.subarray(Math.max(0, before.byteLength - windowBytes));
      return deflateBlock(block, {
        level,
        finishFlush: constants.Z_SYNC_FLUSH,
        ...(window && window.byteLength > 0 && { dictionary: window }),
      });
    },
    end: (tarBytes) => trailer(crc, tarBytes),
  };
}

function trailer(crc: number, tarBytes: number): Buffer {
  const sums = Buffer.alloc(8);
  sums.writeUInt32LE(crc, 0);
  sums.writeUInt32LE(tarBytes % 2 ** 32, 4);
  return Buffer.concat([lastBlock, sums]);
}
