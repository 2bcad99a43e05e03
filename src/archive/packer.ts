import { EngineError } from '#errdefs';
import { type ByteSource, type Part, PartedSource } from '#streams';
import { blockBytes, maxExtensionBytes } from './limits.ts';
import { writeBase256, writeOctal } from './numbers.ts';
import { padding } from './parser.ts';
import { formatPaxRecord, formatPaxTime, type PaxRecord, xattrKey } from './pax.ts';
import type { ByteString, TarAttributes, TarEntryType, TarTime } from './types.ts';

/** What is written about a file; what is left out is zero or empty. */
export type PackEntry = Pick<TarAttributes, 'type' | 'path'> & Partial<Omit<TarAttributes, 'type' | 'path'>>;

const flags: Readonly<Record<TarEntryType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/** Two blocks of zeros end an archive. */
export const endOfArchive: Uint8Array = Buffer.alloc(2 * blockBytes);

const zeros: Uint8Array = Buffer.alloc(blockBytes);

/** The zeros that complete the last block of `sizeBytes` of data; shared, so only to be read. */
export function packPadding(sizeBytes: number): Uint8Array {
  return zeros.subarray(0, padding(sizeBytes));
}

/** What every header has alike: the magic, and the checksum's field as the sum counts it. */
const emptyHeader = Buffer.alloc(blockBytes);
emptyHeader.write('ustar\x0000', 257, 'latin1');
emptyHeader.fill(0x20, 148, 156);

/** The same of a header that records follow. */
const emptyExtension = Buffer.from(emptyHeader);
for (const [offset, value] of [
  [100, 0o644],
  [108, 0],
  [116, 0],
  [329, 0],
  [337, 0],
] as const)
  writeOctal(emptyExtension, offset, 8, value);
writeOctal(emptyExtension, 136, 12, 0);

/** Headers are made here, whole, before they are copied to where they go. */
const scratch = Buffer.alloc(blockBytes);

/**
 * Header blocks of an entry: ustar where everything fits it, else preceded by PAX records (sorted). The same entry always gives the same
 * bytes. A directory's path gets its closing slash. File data and {@link packPadding} follow.
 * @throws `invalid-argument` for names with a NUL and for records too large for any reader.
 */
export function packHeader(entry: PackEntry): Buffer {
  if (entry.path.includes('\0') || entry.linkPath?.includes('\0'))
    throw new EngineError('invalid-argument', 'write tar: a name holds a NUL');
  const text = recordsText(entry.path, writeHeader(entry));
  const extensionBytes = text === '' ? 0 : blockBytes + text.length + padding(text.length);
  // Of memory that many share: a layer of small files is made of these.
  const packed = Buffer.allocUnsafe(extensionBytes + blockBytes);
  packed.set(scratch, extensionBytes);
  if (text !== '') writeExtension(packed, entry.path, text);
  return packed;
}

/** Into the scratch block; answers what did not fit there. */
function writeHeader(entry: PackEntry): PaxRecord[] {
  const block = scratch;
  const records: PaxRecord[] = [];
  block.set(emptyHeader);
  const sizeBytes = entry.type === 'file' ? (entry.sizeBytes ?? 0) : 0;
  const path = entry.type === 'directory' && !entry.path.endsWith('/') ? `${entry.path}/` : entry.path;
  if (!writePath(block, path)) records.push({ key: 'path', value: path });
  if (!writeText(block, 157, 100, entry.linkPath ?? '')) records.push({ key: 'linkpath', value: entry.linkPath ?? '' });
  writeOctal(block, 100, 8, (entry.mode ?? 0) & 0o7777);
  if (!writeOctal(block, 108, 8, entry.uid ?? 0)) records.push({ key: 'uid', value: String(entry.uid) });
  if (!writeOctal(block, 116, 8, entry.gid ?? 0)) records.push({ key: 'gid', value: String(entry.gid) });
  if (!writeOctal(block, 124, 12, sizeBytes)) records.push({ key: 'size', value: String(sizeBytes) });
  writeTime(block, records, entry.mtime ?? { sec: 0, nsec: 0 });
  if (entry.atime) records.push({ key: 'atime', value: formatPaxTime(entry.atime) });
  if (entry.ctime) records.push({ key: 'ctime', value: formatPaxTime(entry.ctime) });
  if (!writeText(block, 265, 31, entry.userName ?? '')) records.push({ key: 'uname', value: entry.userName ?? '' });
  if (!writeText(block, 297, 31, entry.groupName ?? '')) records.push({ key: 'gname', value: entry.groupName ?? '' });
  writeDevice(block, 329, entry.devMajor ?? 0);
  writeDevice(block, 337, entry.devMinor ?? 0);
  for (const [name, value] of entry.xattrs ?? [])
    records.push({ key: xattrKey(name), value: Buffer.from(value).toString('latin1') });
  finish(block, flags[entry.type]);
  return records;
}

function writeText(block: Buffer, offset: number, length: number, value: ByteString): boolean {
  if (value.length > length) return false;
  if (value.length > 0) block.write(value, offset, 'latin1');
  return true;
}

/** A path over 100 bytes is split at a slash into prefix and name where that works. */
function writePath(block: Buffer, path: ByteString): boolean {
  if (path.length === 0) return false;
  if (writeText(block, 0, 100, path)) return true;
  const slash = path.indexOf('/', path.length - 101);
  if (slash > 0 && slash <= 155 && slash < path.length - 1) {
    writeText(block, 345, 155, path.slice(0, slash));
    writeText(block, 0, 100, path.slice(slash + 1));
    return true;
  }
  writeText(block, 0, 100, path.slice(-100).replace(/\/$/, ''));
  return false;
}

function writeTime(block: Buffer, records: PaxRecord[], mtime: TarTime): void {
  const fits = writeOctal(block, 136, 12, mtime.sec);
  if (!fits) writeOctal(block, 136, 12, 0);
  if (!fits || mtime.nsec !== 0) records.push({ key: 'mtime', value: formatPaxTime(mtime) });
}

function writeDevice(block: Buffer, offset: number, value: number): void {
  if (!writeOctal(block, offset, 8, value)) writeBase256(block, offset, 8, value);
}

function finish(block: Buffer, flag: string): void {
  block[156] = flag.charCodeAt(0);
  let sum = 0;
  for (let i = 0; i < blockBytes; i++) sum += block[i]!;
  // Six digits, a NUL, and the space that is there.
  writeOctal(block, 148, 7, sum);
}

function recordsText(path: ByteString, records: PaxRecord[]): ByteString {
  if (records.length > 1) records.sort((a, b) => (a.key < b.key ? -1 : 1));
  let text = '';
  for (const { key, value } of records) text += formatPaxRecord(key, value);
  if (text.length > maxExtensionBytes)
    throw new EngineError('invalid-argument', `write tar: attributes of ${path} are too large`);
  return text;
}

/** At the beginning of `packed`: a header of its own, and the records. */
function writeExtension(packed: Buffer, path: ByteString, text: ByteString): void {
  const block = scratch;
  block.set(emptyExtension);
  const base = path.replace(/\/+$/, '').split('/').at(-1) ?? '';
  writeText(block, 0, 100, `PaxHeaders.0/${base}`.slice(0, 100));
  writeOctal(block, 124, 12, text.length);
  finish(block, 'x');
  packed.set(block);
  packed.write(text, blockBytes, 'latin1');
  packed.fill(0, blockBytes + text.length, blockBytes + text.length + padding(text.length));
}

export interface PackMember {
  readonly entry: PackEntry;
  readonly body?: ByteSource | Uint8Array;
}

/**
 * A whole archive: header, body, padding for each entry, and the end marker. `sizeBytes` of a file is what its body gives exactly. Where a body has parts
 * in files, so has the archive.
 * @throws `data-loss` when a body is shorter or longer than its entry says.
 */
export function packTar(members: AsyncIterable<PackMember> | Iterable<PackMember>): PartedSource {
  return new PartedSource(packParts(members));
}

async function* packParts(members: AsyncIterable<PackMember> | Iterable<PackMember>): AsyncGenerator<Part> {
  for await (const { entry, body } of members) {
    yield packHeader(entry);
    const wanted = entry.type === 'file' ? (entry.sizeBytes ?? 0) : 0;
    let given = 0;
    for await (const part of partsOf(body)) {
      given += part instanceof Uint8Array ? part.byteLength : part.lengthBytes;
      if (given > wanted) break;
      yield part;
    }
    if (given !== wanted) throw new EngineError('data-loss', `write tar: ${entry.path} has other than ${wanted} bytes`);
    if (padding(wanted) > 0) yield packPadding(wanted);
  }
  yield endOfArchive;
}

function partsOf(body: ByteSource | Uint8Array | undefined): AsyncIterable<Part> | Iterable<Part> {
  if (body === undefined) return [];
  if (body instanceof Uint8Array) return [body];
  return body instanceof PartedSource ? body.parts : body;
}
