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
  let unsigned = 0;
  let high = 0;
  for (let i = offset, end = offset + blockBytes; i < end; i++) {
    const byte = block[i]!;
    unsigned += byte;
    high += byte >> 7;
  }
  for (let i = offset + 148; i < offset + 156; i++) {
    const byte = block[i]!;
    unsigned += 0x20 - byte;
    high -= byte >> 7;
  }
  const stored = parseNumber(block, offset + 148, 8, 'checksum');
  if (stored !== unsigned && stored !== unsigned - 256 * high)
    throw new EngineError('invalid-argument', 'archive/tar: invalid tar header: wrong checksum');
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
