import { accessSync, type BigIntStats, constants, readlinkSync, statfsSync } from 'node:fs';
import { type ByteString, bytesOf, utf8FromBytes } from '#archive';
import type { ListedEntry } from '#context-listing';
import type { IgnoreMatcher } from '#dockerfile';
import { EngineError, isErrno } from '#errdefs';
import type { Sys } from '#sys';

type Type = ListedEntry['type'];

/** File systems of this kernel's own, which date each change by its clock and give no inode away while it is used. */
const datingFileSystems = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0x2fc12fc1, 0xf2f52010, 0xca451a4e, 0xe0f5e1e2, 0x73717368,
  0x858458f6,
]);

/** A path below a folder for the file system: names need not be text. */
export function placeOf(root: string, path: ByteString): string | Buffer {
  return isAscii(path) ? `${root}/${path}` : Buffer.concat([Buffer.from(`${root}/`), bytesOf(path)]);
}

/** `device inode mtime ctime`: what no change of a file leaves as it was. `scanFolder` answers the same. */
export function stampOf({ dev, ino, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev} ${ino} ${mtimeNs} ${ctimeNs}`;
}

/**
 * Everything below a folder that the patterns let through, as Docker's client sends it: sorted by bytes, folders before what is in them, root's, times in
 * whole seconds, further names of a file as hardlinks, no sockets. What goes away meanwhile is left out.
 * @throws EngineError `permission-denied` in Docker's words for what cannot be read
 */
export async function walkFolder(root: string, matcher: IgnoreMatcher | undefined): Promise<ListedEntry[]> {
  // Commands that walk no folder need no addon.
  const { sys } = await import('#sys');
  const walk = new Walk(root, matcher, sys);
  walk.folder('');
  return walk.entries;
}

/** What `scanFolder` says of one file. */
interface Facts {
  readonly name: ByteString;
  readonly mode: number;
  readonly links: string;
  readonly sizeBytes: number;
  readonly mtimeSec: number;
  readonly device: string;
  readonly stamp: string;
  readonly capability: string;
}

const factsPerFile = 8;

class Walk {
  readonly entries: ListedEntry[] = [];
  readonly #root: string;
  readonly #matcher: IgnoreMatcher | undefined;
  readonly #sys: Pick<Sys, 'scanFolder'>;
  /** First names of files that have several, by device and inode. */
  readonly #names = new Map<string, ByteString>();
  readonly #isDated = new Map<string, boolean>();
  readonly #checksAccess = process.getuid?.() !== 0;

  constructor(root: string, matcher: IgnoreMatcher | undefined, sys: Pick<Sys, 'scanFolder'>) {
    this.#root = root;
    this.#matcher = matcher;
    this.#sys = sys;
  }

  folder(folder: ByteString): void {
    const text = this.#try(folder, (place) => this.#sys.scanFolder(place), "can't stat");
    const files = text === undefined ? [] : factsOf(text);
    files.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const file of files) this.#visit(folder === '' ? file.name : `${folder}/${file.name}`, file);
  }

  #visit(path: ByteString, facts: Facts): void {
    const excluded = this.#matcher?.excludes(utf8FromBytes(path)) ?? false;
    const type = types.get(facts.mode & constants.S_IFMT);
    if (!excluded && type) this.#add(path, type, facts);
    if (type !== 'directory') return;
    if (!excluded || this.#matcher!.hasExceptionBelow(utf8FromBytes(path))) this.folder(path);
  }

  #add(path: ByteString, type: Type, facts: Facts): void {
    const common = { path, mode: facts.mode & 0o7777, mtimeSec: facts.mtimeSec };
    const first = type !== 'directory' && facts.links !== '1' ? this.#firstName(path, facts) : undefined;
    if (first !== undefined) this.entries.push({ ...common, type: 'hardlink', linkPath: first });
    else if (type === 'file') this.#addFile(common, facts);
    else if (type === 'symlink') {
      const linkPath = this.#try(path, (place) => readlinkSync(place, { encoding: 'latin1' }));
      if (linkPath !== undefined) this.entries.push({ ...common, type, linkPath });
    } else if (type === 'char' || type === 'block') {
      const [devMajor = 0, devMinor = 0] = facts.device.split(':').map(Number);
      this.entries.push({ ...common, type, devMajor, devMinor });
    } else if (type !== 'hardlink') this.entries.push({ ...common, type });
  }

  #addFile(common: { path: ByteString; mode: number; mtimeSec: number }, facts: Facts): void {
    if (this.#checksAccess) this.#try(common.path, (place) => accessSync(place, constants.R_OK));
    const { sizeBytes, stamp, capability } = facts;
    this.entries.push({
      ...common,
      type: 'file',
      sizeBytes,
      ...(this.#datesWell(common.path, stamp) ? { stamp } : {}),
      ...(capability === '' ? {} : { capability: Buffer.from(capability, 'hex') }),
    });
  }

  /** Undefined for the first name itself. */
  #firstName(path: ByteString, { stamp }: Facts): ByteString | undefined {
    const [device, inode] = stamp.split(' ', 2);
    const key = `${device} ${inode}`;
    const first = this.#names.get(key);
    if (first === undefined) this.#names.set(key, path);
    return first;
  }

  #datesWell(path: ByteString, stamp: string): boolean {
    const device = stamp.slice(0, stamp.indexOf(' '));
    const known = this.#isDated.get(device);
    if (known !== undefined) return known;
    const isDated = datingFileSystems.has(this.#try(path, (place) => statfsSync(place).type) ?? 0);
    this.#isDated.set(device, isDated);
    return isDated;
  }

  /** Undefined for what is not there any more. */
  #try<T>(path: ByteString, call: (place: string | Buffer) => T, denied = 'no permission to read from'): T | undefined {
    const place = placeOf(this.#root, path);
    try {
      return call(place);
    } catch (error) {
      if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return undefined;
      if (!isErrno(error, 'EACCES')) throw error;
      throw new EngineError('permission-denied', `error checking context: ${denied} '${place}'`, {
        cause: error,
      });
    }
  }
}

function isAscii(text: string): boolean {
  return !/[^\0-\x7f]/.test(text);
}

function factsOf(text: string): Facts[] {
  const fields = text.split('\0');
  const files: Facts[] = [];
  for (let at = 0; at + factsPerFile < fields.length; at += factsPerFile) {
    files.push({
      name: fields[at]!,
      mode: Number(fields[at + 1]),
      links: fields[at + 2]!,
      sizeBytes: Number(fields[at + 3]),
      mtimeSec: Number(fields[at + 4]),
      device: fields[at + 5]!,
      stamp: fields[at + 6]!,
      capability: fields[at + 7]!,
    });
  }
  return files;
}

/** Sockets have none. */
const types: ReadonlyMap<number, Type> = new Map([
  [constants.S_IFREG, 'file'],
  [constants.S_IFDIR, 'directory'],
  [constants.S_IFLNK, 'symlink'],
  [constants.S_IFCHR, 'char'],
  [constants.S_IFBLK, 'block'],
  [constants.S_IFIFO, 'fifo'],
]);
