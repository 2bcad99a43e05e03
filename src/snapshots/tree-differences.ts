import { type ByteString, bytesOf } from '#archive';
import { sys } from '#sys';
import { readAttributes, typeOfStat } from './attributes.ts';
import { isOpaque, listNames } from './marks.ts';
import { shown, whiteoutPrefix } from './names.ts';
import { sameBytes } from './same-bytes.ts';
import type { Attributes } from './tree.ts';

/**
 * Compares two trees file by file: names, types, owners, modes, times, devices, link targets, extended attributes, opaqueness, data,
 * and which names are one file. Yields one line per difference. Blocking.
 */
export function* treeDifferences(left: ByteString, right: ByteString): Generator<string> {
  yield* new Comparison(left, right).folder('');
}

class Comparison {
  readonly #left: ByteString;
  readonly #right: ByteString;
  /** First name of each file with several. */
  readonly #leftLinks = new Map<bigint, ByteString>();
  readonly #rightLinks = new Map<bigint, ByteString>();

  constructor(left: ByteString, right: ByteString) {
    this.#left = left;
    this.#right = right;
  }

  *folder(path: ByteString): Generator<string> {
    yield* this.#attributes(path);
    const [ours, theirs] = [listNames(this.#left + path), listNames(this.#right + path)];
    for (const name of ours) {
      if (!theirs.includes(name)) yield `${shown(`${path}/${name}`)}: only in the first`;
    }
    const common = new Set(ours);
    for (const name of theirs) {
      if (common.has(name)) yield* this.#entry(`${path}/${name}`);
      else yield `${shown(`${path}/${name}`)}: only in the second`;
    }
  }

  *#entry(path: ByteString): Generator<string> {
    const [a, b] = [sys.lstat(bytesOf(this.#left + path)), sys.lstat(bytesOf(this.#right + path))];
    const [left, right] = [typeOfStat(a), typeOfStat(b)];
    if (left !== right) {
      yield `${shown(path)}: ${left}, ${right} in the second`;
      return;
    }
    if (left === 'directory') {
      yield* this.folder(path);
      return;
    }
    const first = firstName(this.#leftLinks, a.ino, a.nlink, path);
    const other = firstName(this.#rightLinks, b.ino, b.nlink, path);
    if (first !== other) yield `${shown(path)}: one file with ${shown(first)}, with ${shown(other)} in the second`;
    yield* this.#attributes(path);
    const isSame =
      left !== 'file' || a.size !== b.size || sameBytes(bytesOf(this.#left + path), bytesOf(this.#right + path));
    if (!isSame) yield `${shown(path)}: data differ`;
  }

  *#attributes(path: ByteString): Generator<string> {
    const [a, b] = [describe(this.#left + path), describe(this.#right + path)];
    for (const [key, value] of Object.entries(a)) {
      if (value !== b[key]) yield `${shown(path || '/')}: ${key} is ${value}, ${b[key]} in the second`;
    }
  }
}

function firstName(links: Map<bigint, ByteString>, ino: bigint, nlink: number, path: ByteString): ByteString {
  if (nlink < 2) return path;
  const first = links.get(ino) ?? path;
  links.set(ino, first);
  return first;
}

/** A whiteout is as old as the unpacking that made it: a tar says no more of it than its name. */
function describe(path: ByteString): Record<string, string> {
  const { mode, uid, gid, mtime, devMajor, devMinor, linkPath, sizeBytes, xattrs, type }: Attributes =
    readAttributes(path);
  const isDevice = type === 'char' && devMajor === 0 && devMinor === 0;
  const isWhiteout = isDevice || path.slice(path.lastIndexOf('/') + 1).startsWith(whiteoutPrefix);
  const values = [...xattrs].map(([name, value]) => `${name}=${Buffer.from(value).toString('hex')}`);
  return {
    mode: mode.toString(8),
    owner: `${uid}:${gid}`,
    mtime: isWhiteout ? '' : `${mtime.sec}.${String(mtime.nsec).padStart(9, '0')}`,
    device: `${devMajor}:${devMinor}`,
    link: linkPath,
    size: String(sizeBytes),
    xattrs: values.sort().join(' '),
    opaque: String(type === 'directory' && isOpaque(path, 'kernel')),
  };
}
