import { EngineError } from '#errdefs';
import type { RawHeader } from './header.ts';
import { decimal, type PaxRecord, parsePaxInteger, parsePaxTime, xattrName } from './pax.ts';
import { paxPairs, type SparsePairs } from './sparse.ts';
import type { ByteString, TarEntryType, TarTime } from './types.ts';

/** What extension headers said before the header proper. */
export interface Extensions {
  headerOffset: number;
  longPath: ByteString | undefined;
  longLink: ByteString | undefined;
  records: PaxRecord[];
}

/** A header with its extensions applied; sparse maps may still be missing. */
export interface DraftEntry {
  type: TarEntryType;
  path: ByteString;
  linkPath: ByteString;
  mode: number;
  uid: number;
  gid: number;
  userName: ByteString;
  groupName: ByteString;
  mtime: TarTime;
  atime: TarTime | undefined;
  ctime: TarTime | undefined;
  devMajor: number;
  devMinor: number;
  xattrs: ReadonlyMap<ByteString, Uint8Array>;
  /** Data bytes that follow the header, a PAX 1.0 map included. */
  storedBytes: number;
  /** Length of a sparse file as it reads. */
  realSizeBytes: number | undefined;
  sparsePairs: SparsePairs | undefined;
  /** The stored data opens with a PAX 1.0 map. */
  hasPaxMap: boolean;
}

const types: Readonly<Record<string, TarEntryType>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
};

const noAttributes: ReadonlyMap<ByteString, Uint8Array> = new Map();

/** Applies, in this order: global records, the entry's own PAX records, GNU long names (as Go's reader does). */
export function draftEntry(
  header: RawHeader,
  extensions: Extensions,
  globals: ReadonlyMap<string, string>,
): DraftEntry {
  const type = typeOf(header);
  const draft: DraftEntry = {
    type,
    path: header.path,
    linkPath: header.linkPath,
    mode: header.mode,
    uid: header.uid,
    gid: header.gid,
    userName: header.userName,
    groupName: header.groupName,
    mtime: header.mtime,
    atime: header.atime,
    ctime: header.ctime,
    devMajor: header.devMajor,
    devMinor: header.devMinor,
    xattrs: noAttributes,
    storedBytes: header.sizeBytes,
    realSizeBytes: undefined,
    sparsePairs: undefined,
    hasPaxMap: false,
  };
  if (globals.size > 0 || extensions.records.length > 0) applyRecords(draft, extensions.records, globals);
  if (extensions.longPath !== undefined) draft.path = extensions.longPath;
  if (extensions.longLink !== undefined) draft.linkPath = extensions.longLink;
  // V7 writers mark a directory by a trailing slash alone.
  if (type === 'file' && header.typeFlag !== 'S' && draft.path.endsWith('/')) draft.type = 'directory';
  if (type !== 'hardlink' && type !== 'symlink') draft.linkPath = '';
  if (draft.type !== 'file') draft.storedBytes = 0;
  if (draft.storedBytes < 0)
    throw new EngineError('invalid-argument', 'archive/tar: invalid tar header: negative size');
  return draft;
}

function typeOf(header: RawHeader): TarEntryType {
  const type = types[header.typeFlag];
  if (type === undefined) {
    const flag = header.typeFlag.charCodeAt(0);
    throw new EngineError('invalid-argument', `unhandled tar header type ${flag}`);
  }
  return type;
}

function applyRecords(draft: DraftEntry, records: readonly PaxRecord[], globals: ReadonlyMap<string, string>): void {
  const merged = new Map(globals);
  for (const { key, value } of records) merged.set(key, value);
  const xattrs = new Map<ByteString, Uint8Array>();
  for (const [key, value] of merged) {
    const name = xattrName(key);
    if (name !== undefined) {
      if (name !== '') xattrs.set(name, Buffer.from(value, 'latin1'));
    } else if (value !== '') applyRecord(draft, key, value);
  }
  if (xattrs.size > 0) draft.xattrs = xattrs;
  applySparse(draft, records, merged);
}

function applyRecord(draft: DraftEntry, key: string, value: ByteString): void {
  if (key === 'path') draft.path = value;
  else if (key === 'linkpath') draft.linkPath = value;
  else if (key === 'uname') draft.userName = value;
  else if (key === 'gname') draft.groupName = value;
  else if (key === 'size') draft.storedBytes = parsePaxInteger(key, value);
  else if (key === 'uid') draft.uid = parsePaxInteger(key, value);
  else if (key === 'gid') draft.gid = parsePaxInteger(key, value);
  else if (key === 'mtime') draft.mtime = parsePaxTime(key, value);
  else if (key === 'atime') draft.atime = parsePaxTime(key, value);
  else if (key === 'ctime') draft.ctime = parsePaxTime(key, value);
}

/** GNU.sparse.*: 0.0 and 0.1 carry the map in the records, 1.0 at the start of the data. */
function applySparse(draft: DraftEntry, records: readonly PaxRecord[], merged: ReadonlyMap<string, string>): void {
  if (draft.type !== 'file') return;
  draft.hasPaxMap = merged.get('GNU.sparse.major') === '1' && merged.get('GNU.sparse.minor') === '0';
  draft.sparsePairs = draft.hasPaxMap ? undefined : paxPairs(records);
  if (!draft.hasPaxMap && draft.sparsePairs === undefined) return;
  const size = merged.get('GNU.sparse.realsize') ?? merged.get('GNU.sparse.size') ?? '';
  draft.realSizeBytes = decimal(size);
  if (!Number.isSafeInteger(draft.realSizeBytes))
    throw new EngineError('invalid-argument', 'archive/tar: invalid tar header: sparse file: no size in range');
  const name = merged.get('GNU.sparse.name');
  if (name) draft.path = name;
}
