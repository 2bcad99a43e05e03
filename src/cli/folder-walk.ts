import { accessSync, type BigIntStats, constants, lstatSync, readdirSync, readlinkSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { type ByteString, bytesOf, utf8FromBytes } from '#archive';
import type { ListedEntry } from '#context-listing';
import type { IgnoreMatcher } from '#dockerfile';
import { EngineError, isErrno } from '#errdefs';

type Type = ListedEntry['type'];

/** File systems of this kernel's own, which date each change by its clock and give no inode away while it is used. */
const datingFileSystems = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0x2fc12fc1, 0xf2f52010, 0xca451a4e, 0xe0f5e1e2, 0x73717368,
  0x858458f6,
]);

/** A path below a folder for the file system: names need not be text. */
export function placeOf(root: string, path: ByteString): string | Buffer {
  return isAscii(path) ? join(root, path) : Buffer.concat([Buffer.from(`${root}/`), bytesOf(path)]);
}

/** `device inode mtime ctime`: what no change of a file leaves as it was. */
export function stampOf({ dev, ino, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev} ${ino} ${mtimeNs} ${ctimeNs}`;
}

/**
 * Everything below a folder that the patterns let through, as Docker's client sends it: sorted by bytes, folders before what is in them, root's, times in
 * whole seconds, further names of a file as hardlinks, no sockets. What goes away meanwhile is left out.
 * @throws EngineError `permission-denied` in Docker's words for what cannot be read
 */
export function walkFolder(root: string, matcher: IgnoreMatcher | undefined): ListedEntry[] {
  const walk = new Walk(root, matcher);
  walk.folder('');
  return walk.entries;
}

class Walk {
  readonly entries: ListedEntry[] = [];
  readonly #root: string;
  readonly #matcher: IgnoreMatcher | undefined;
  /** First names of files that have several, by device and inode. */
  readonly #names = new Map<string, ByteString>();
  readonly #isDated = new Map<bigint, boolean>();
  readonly #checksAccess = process.getuid?.() !== 0;

  constructor(root: string, matcher: IgnoreMatcher | undefined) {
    this.#root = root;
    this.#matcher = matcher;
  }

  folder(folder: ByteString): void {
    const names = this.#try(folder, (place) => readdirSync(place, { encoding: 'latin1' })) as ByteString[] | undefined;
    for (const name of names?.sort() ?? []) this.#visit(folder === '' ? name : `${folder}/${name}`);
  }

  #visit(path: ByteString): void {
    const excluded = this.#matcher?.excludes(isAscii(path) ? path : utf8FromBytes(path)) ?? false;
    if (excluded && !this.#matcher!.hasExceptions) return;
    const stat = this.#try(path, (place) => lstatSync(place, { bigint: true }));
    if (!stat) return;
    const type = typeOf(stat);
    if (excluded && type !== 'directory') return;
    if (!excluded && type) this.#add(path, type, stat);
    if (type === 'directory') this.folder(path);
  }

  #add(path: ByteString, type: Type, stat: BigIntStats): void {
    const common = { path, mode: Number(stat.mode) & 0o7777, mtimeSec: seconds(stat.mtimeNs) };
    const first = type !== 'directory' && stat.nlink > 1n ? this.#firstName(path, stat) : undefined;
    if (first !== undefined) this.entries.push({ ...common, type: 'hardlink', linkPath: first });
    else if (type === 'file') this.#addFile(common, stat);
    else if (type === 'symlink') {
      const linkPath = this.#try(path, (place) => readlinkSync(place, { encoding: 'latin1' }));
      if (linkPath !== undefined) this.entries.push({ ...common, type, linkPath });
    } else if (type === 'char' || type === 'block') {
      const rdev = Number(stat.rdev);
      this.entries.push({ ...common, type, devMajor: major(rdev), devMinor: minor(rdev) });
    } else if (type !== 'hardlink') this.entries.push({ ...common, type });
  }

  #addFile(common: { path: ByteString; mode: number; mtimeSec: number }, stat: BigIntStats): void {
    if (this.#checksAccess) this.#try(common.path, (place) => accessSync(place, constants.R_OK));
    const file = { ...common, type: 'file' as const, sizeBytes: Number(stat.size) };
    this.entries.push(this.#datesWell(common.path, stat) ? { ...file, stamp: stampOf(stat) } : file);
  }

  /** Undefined for the first name itself. */
  #firstName(path: ByteString, { dev, ino }: BigIntStats): ByteString | undefined {
    const key = `${dev} ${ino}`;
    const first = this.#names.get(key);
    if (first === undefined) this.#names.set(key, path);
    return first;
  }

  #datesWell(path: ByteString, { dev }: BigIntStats): boolean {
    const known = this.#isDated.get(dev);
    if (known !== undefined) return known;
    const type = this.#try(path, (place) => statfsSync(place).type) ?? 0;
    this.#isDated.set(dev, datingFileSystems.has(type));
    return this.#isDated.get(dev)!;
  }

  /** Undefined for what is not there any more. */
  #try<T>(path: ByteString, call: (place: string | Buffer) => T): T | undefined {
    const place = placeOf(this.#root, path);
    try {
      return call(place);
    } catch (error) {
      if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return undefined;
      if (!isErrno(error, 'EACCES')) throw error;
      throw new EngineError('permission-denied', `error checking context: no permission to read from '${place}'`, {
        cause: error,
      });
    }
  }
}

function isAscii(text: string): boolean {
  return !/[^\0-\x7f]/.test(text);
}

function typeOf(stat: BigIntStats): Type | undefined {
  switch (Number(stat.mode) & constants.S_IFMT) {
    case constants.S_IFREG:
      return 'file';
    case constants.S_IFDIR:
      return 'directory';
    case constants.S_IFLNK:
      return 'symlink';
    case constants.S_IFCHR:
      return 'char';
    case constants.S_IFBLK:
      return 'block';
    case constants.S_IFIFO:
      return 'fifo';
    default:
      return undefined;
  }
}

function seconds(ns: bigint): number {
  const whole = ns / 1_000_000_000n;
  return Number(ns < 0n && whole * 1_000_000_000n !== ns ? whole - 1n : whole);
}

/** As glibc splits a device number. */
function major(device: number): number {
  return Math.floor(device / 2 ** 8) % 2 ** 12;
}

function minor(device: number): number {
  return (device % 2 ** 8) + (Math.floor(device / 2 ** 20) % 2 ** 12) * 2 ** 8;
}
