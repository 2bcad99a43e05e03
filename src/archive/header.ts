import { EngineError } from '#errdefs';
import { blockBytes, maxEntryBytes } from './limits.ts';
import { parseNumber } from './numbers.ts';
import type { ByteString, TarTime } from './types.ts';

/** The fields of one 512-byte header block, as they stand there. */
export interface RawHeader {
  path: ByteString;
  mode: number;
  uid: number;
  gid: number;
  sizeBytes: number;
  mtime: TarTime;
  typeFlag: string;
  linkPath: ByteString;
  userName: ByteString;
  groupName: ByteString;
  devMajor: number;
  devMinor: number;
  atime: TarTime | undefined;
  ctime: TarTime | undefined;
}

const deviceFlags = '34';

/** Decodes a header block at `offset`: V7, ustar, star and GNU. @throws `invalid-argument` on a wrong checksum or a malformed number. */
export function decodeHeader(block: Buffer, offset: number): RawHeader {
  checkSum(block, offset);
  const number = (at: number, length: number, what: string) => parseNumber(block, offset + at, length, what);
  const typeFlag = String.fromCharCode(block[offset + 156]!);
  const magic = block.toString('latin1', offset + 257, offset + 265);
  const isUstar = magic.startsWith('ustar\0');
  const isGnu = magic === 'ustar  \0';
  const hasOwners = isUstar || isGnu;
  const sizeBytes = number(124, 12, 'size');
  if (sizeBytes < 0 || sizeBytes > maxEntryBytes)
    throw new EngineError('invalid-argument', 'archive/tar: invalid tar header: absurd size');
  const isDevice = hasOwners && deviceFlags.includes(typeFlag);
  return {
    path: isUstar ? ustarPath(block, offset) : text(block, offset, 100),
    mode: number(100, 8, 'mode') & 0o7777,
    uid: number(108, 8, 'uid'),
    gid: number(116, 8, 'gid'),
    sizeBytes,
    mtime: { sec: number(136, 12, 'mtime'), nsec: 0 },
    typeFlag,
    linkPath: text(block, offset + 157, 100),
    userName: hasOwners ? text(block, offset + 265, 32) : '',
    groupName: hasOwners ? text(block, offset + 297, 32) : '',
    devMajor: isDevice ? number(329, 8, 'device number') : 0,
    devMinor: isDevice ? number(337, 8, 'device number') : 0,
    atime: isGnu ? gnuTime(block, offset + 345) : undefined,
    ctime: isGnu ? gnuTime(block, offset + 357) : undefined,
  };
}

/** Sum of all bytes with the checksum field as spaces; historic writers summed signed bytes. */
function checkSum(block: Buffer, offset: number): void {
  const stored = parseNumber(block, offset + 148, 8, 'checksum');
  const unsigned = sumOf(block, offset) - sumOfChecksum(block, offset);
  if (stored !== unsigned && stored !== unsigned - 256 * highBytes(block, offset))
    throw new EngineError('invalid-argument', 'archive/tar: invalid tar header: wrong checksum');
}

/** Four bytes at a time, two sums in one number: neither reaches its half's end in a block. */
function sumOf(block: Buffer, offset: number): number {
  const words = new DataView(block.buffer, block.byteOffset + offset, blockBytes);
  let sums = 0;
  for (let at = 0; at < blockBytes; at += 4) {
    const word = words.getInt32(at);
    sums = (sums + (word & 0xff00ff) + ((word >>> 8) & 0xff00ff)) | 0;
  }
  return (sums & 0xffff) + (sums >>> 16);
}

/** What the field has more than eight spaces. */
function sumOfChecksum(block: Buffer, offset: number): number {
  let sum = 0;
  for (let i = offset + 148; i < offset + 156; i++) sum += block[i]! - 0x20;
  return sum;
}

/** Bytes outside the field that are negative where bytes have signs. */
function highBytes(block: Buffer, offset: number): number {
  let high = 0;
  for (let i = 0; i < blockBytes; i++) if (i < 148 || i >= 156) high += block[offset + i]! >> 7;
  return high;
}

/** Bytes up to the first NUL. */
export function text(block: Buffer, offset: number, length: number): ByteString {
  let end = offset;
  while (end < offset + length && block[end] !== 0) end++;
  return block.toString('latin1', offset, end);
}

function ustarPath(block: Buffer, offset: number): ByteString {
  const isStar = block.toString('latin1', offset + 508, offset + 512) === 'tar\0';
  const prefix = text(block, offset + 345, isStar ? 131 : 155);
  const name = text(block, offset, 100);
  return prefix === '' ? name : `${prefix}/${name}`;
}

function gnuTime(block: Buffer, offset: number): TarTime | undefined {
  if (block[offset] === 0) return undefined;
  return { sec: parseNumber(block, offset, 12, 'time'), nsec: 0 };
}
