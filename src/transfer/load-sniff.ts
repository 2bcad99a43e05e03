import { sniffCompression } from '#archive';

/** Bytes that show what a member is. */
export const sniffLength = 512;

/** A layer (a tar, plain or compressed) as opposed to a document. */
export function looksLikeLayer(start: Uint8Array): boolean {
  return sniffCompression(start) !== 'none' || isTarHeader(start);
}

/** A header block whose checksum is right (POSIX.1-2017 pax §ustar), or the zeros of an empty archive. */
function isTarHeader(block: Uint8Array): boolean {
  if (block.byteLength < sniffLength) return false;
  let sum = 0;
  for (let at = 0; at < sniffLength; at++) sum += at >= 148 && at < 156 ? 0x20 : block[at]!;
  if (sum === 8 * 0x20) return block.every((byte) => byte === 0);
  const field = Buffer.from(block.subarray(148, 156)).toString('latin1');
  const octal = /^ *([0-7]+)[ \0]/.exec(`${field}\0`);
  return octal !== null && Number.parseInt(octal[1]!, 8) === sum;
}
