import { EngineError } from '#errdefs';

/**
 * A numeric header field: octal digits between spaces and NULs (POSIX.1-2017 pax §ustar), or GNU base-256 when the first byte has its high bit set.
 * @throws `invalid-argument` for anything else, and beyond 2^53.
 */
export function parseNumber(block: Uint8Array, offset: number, length: number, what: string): number {
  const first = block[offset]!;
  return first & 0x80 ? parseBase256(block, offset, length, what) : parseOctal(block, offset, length, what);
}

const space = 0x20;
const zero = 0x30;
const seven = 0x37;

function parseOctal(block: Uint8Array, offset: number, length: number, what: string): number {
  let at = offset;
  let end = offset + length;
  while (at < end && isFiller(block[at]!)) at++;
  while (end > at && isFiller(block[end - 1]!)) end--;
  let value = 0;
  for (; at < end; at++) {
    const digit = block[at]!;
    if (digit === 0) break;
    if (digit < zero || digit > seven)
      throw new EngineError('invalid-argument', `archive/tar: invalid tar header: ${what} is not an octal number`);
    value = value * 8 + digit - zero;
  }
  return value;
}

function isFiller(byte: number): boolean {
  return byte === space || byte === 0;
}

/** Two's complement, big-endian, with the format bit taken out of the first byte. */
function parseBase256(block: Uint8Array, offset: number, length: number, what: string): number {
  const negative = (block[offset]! & 0x40) !== 0;
  let value = negative ? -1n : 0n;
  for (let i = 0; i < length; i++) {
    const byte = block[offset + i]!;
    value = i === 0 ? (value << 6n) | BigInt(byte & 0x3f) : (value << 8n) | BigInt(byte);
  }
  const number = Number(value);
  if (!Number.isSafeInteger(number))
    throw new EngineError('invalid-argument', `archive/tar: invalid tar header: ${what} is absurdly large`);
  return number;
}

/** Writes a non-negative number as NUL-terminated octal; answers false when it does not fit. */
export function writeOctal(block: Buffer, offset: number, length: number, value: number): boolean {
  if (!(value >= 0 && value < 8 ** (length - 1))) return false;
  let rest = value;
  for (let at = offset + length - 2; at >= offset; at--) {
    block[at] = zero + (rest % 8);
    rest = Math.floor(rest / 8);
  }
  block[offset + length - 1] = 0;
  return true;
}

/** Writes a non-negative number in GNU base-256. */
export function writeBase256(block: Buffer, offset: number, length: number, value: number): void {
  let rest = BigInt(value);
  for (let i = length - 1; i > 0; i--) {
    block[offset + i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  block[offset] = 0x80;
}
