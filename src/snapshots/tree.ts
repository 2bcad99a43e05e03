import type { ByteString, SparseSegment, TarEntry, TarEntryType, TarTime } from '#archive';
import type { EngineError } from '#errdefs';
import { overlayPrefix } from './attributes.ts';
import { auxiliaryPrefix, invalidPath, opaqueName, refusedCall, splitPath, whiteoutPrefix } from './names.ts';
import type { SnapshotUsage } from './types.ts';

export type FileType = Exclude<TarEntryType, 'hardlink'> | 'socket';

/** What a file is, apart from its names and its data. */
export interface Attributes {
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: TarTime;
  readonly devMajor: number;
  readonly devMinor: number;
  /** Target of a symlink, else empty. */
  readonly linkPath: ByteString;
  readonly sizeBytes: number;
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
}

/** One file of a layer, under all its names. */
export type Inode =
  | {
      readonly from: 'tar';
      attributes: Attributes;
      readonly data: readonly SparseSegment[];
      readonly dataOffset: number;
    }
  /** A hardlink whose first name is in the chain below, with what the last such link says of the file. */
  | { readonly from: 'below'; readonly path: readonly ByteString[]; header: LinkHeader };

/** What the header of a hardlink says of the file it names. */
export type LinkHeader = Pick<TarEntry, 'mode' | 'uid' | 'gid' | 'mtime'>;

/** A folder of a layer. Without attributes it is implied by what it holds: the chain below says what it is. */
export interface LayerFolder {
  attributes: Attributes | undefined;
  /** Nothing of the same folder below shows through. */
  opaque: boolean;
  readonly children: Map<ByteString, LayerFolder | Inode>;
  /** Names that are hidden below. One that is also a child is replaced by it. */
  readonly whiteouts: Set<ByteString>;
}

export function isFolder(node: LayerFolder | Inode | undefined): node is LayerFolder {
  return node !== undefined && 'children' in node;
}

/** A tar needs this many symlinks on one path only to do harm. */
const maxSymlinks = 40;

function newFolder(attributes?: Attributes): LayerFolder {
  return { attributes, opaque: false, children: new Map(), whiteouts: new Set() };
}

/** What the chain below has at a path that can be walked on from: a symlink with its target, or a folder. */
export type BelowLookup = (path: readonly ByteString[]) => { readonly target?: ByteString } | undefined;

/**
 * The files that a layer's entries amount to, in one tree: later entries replace earlier ones, folders keep what they hold.
 * Paths are resolved as a process in the root would: symlinks in the middle, of the layer and of the chain below, are
 * followed, and none leads out of the root.
 * @throws EngineError `invalid-argument` on a path that leaves the root, a hardlink to a folder, or an entry below a file.
 */
export class LayerTree {
  readonly root: LayerFolder = newFolder();
  readonly #linksByPath = new Map<ByteString, Extract<Inode, { from: 'below' }>>();
  readonly #below: BelowLookup | undefined;
  #lastParent: { readonly key: ByteString; readonly folder: LayerFolder } | undefined;

  constructor(below?: BelowLookup) {
    this.#below = below;
  }

  /** Hardlinks whose target is not in the layer itself. */
  get linksBelow(): readonly Extract<Inode, { from: 'below' }>[] {
    return [...this.#linksByPath.values()];
  }

  /** Of the files the layer brings, the root aside; each once. */
  usage(): SnapshotUsage {
    let [sizeBytes, inodes] = [0, 0];
    const seen = new Set<Inode>();
    const pending = [this.root];
    for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
      for (const child of folder.children.values()) {
        if (isFolder(child)) pending.push(child);
        else if (seen.has(child)) continue;
        else if (seen.add(child) && child.from === 'tar') sizeBytes += child.attributes.sizeBytes;
        inodes++;
      }
    }
    return { sizeBytes, inodes };
  }

  add(entry: TarEntry): void {
    const parts = splitPath(entry.path, 'entry name');
    if (parts[0]?.startsWith(auxiliaryPrefix) && parts[0] !== opaqueName) return;
    const name = parts.pop();
    if (name === undefined) {
      this.#addRoot(entry);
      return;
    }
    const parent = this.#parentOf(parts);
    if (name.startsWith(whiteoutPrefix)) addWhiteout(parent, name, entry.path);
    else if (isOverlayWhiteout(entry)) this.#hide(parent, name);
    else this.#put(parent, name, entry);
  }

  /** Where a path leads, its last name not followed; undefined where its parents lead nowhere or the layer hides them. */
  resolve(
    parts: readonly ByteString[],
  ): { readonly path: readonly ByteString[]; readonly inLayer: boolean } | undefined {
    const name = parts.at(-1);
    if (name === undefined) return { path: [], inLayer: true };
    const parent = this.#walk(parts.slice(0, -1), false);
    if (parent === undefined || parent.hidden) return undefined;
    return { path: [...parent.path, name], inLayer: parent.folder?.children.has(name) ?? false };
  }

  /** Anything but a directory at the root is passed over, as dockerd does. */
  #addRoot(entry: TarEntry): void {
    if (entry.type === 'directory') describe(this.root, entry);
  }

  /** Entries of one folder mostly stand together. */
  #parentOf(parts: readonly ByteString[]): LayerFolder {
    const key = parts.join('/');
    if (this.#lastParent?.key === key) return this.#lastParent.folder;
    const folder = this.#folder(parts);
    this.#lastParent = { key, folder };
    return folder;
  }

  #hide(parent: LayerFolder, name: ByteString): void {
    if (parent.children.delete(name)) this.#lastParent = undefined;
    parent.whiteouts.add(name);
  }

  #put(parent: LayerFolder, name: ByteString, entry: TarEntry): void {
    const present = parent.children.get(name);
    if (present !== undefined) this.#lastParent = undefined;
    if (entry.type === 'hardlink') {
      const inode = this.#linkTarget(entry);
      parent.children.set(name, inode);
      if (inode.from === 'tar') inode.attributes = linkedAttributes(inode.attributes, entry);
      else inode.header = entry;
    } else if (entry.type !== 'directory') {
      parent.children.set(name, inodeOf(entry));
    } else if (isFolder(present)) {
      describe(present, entry);
    } else {
      parent.children.set(name, newFolder(attributesOf(entry)));
    }
  }

  #linkTarget(entry: TarEntry): Inode {
    const parts = splitPath(entry.linkPath, 'hardlink target');
    const name = parts.pop();
    const walk = this.#walk(parts, false);
    const target = name === undefined ? this.root : walk?.folder?.children.get(name);
    if (isFolder(target)) throw linkFault(entry, 'operation not permitted');
    if (target) return target;
    const isGone = walk === undefined || walk.hidden || walk.folder?.whiteouts.has(name!);
    if (isGone || !this.#below) throw linkFault(entry, 'no such file or directory');
    return this.#linkBelow([...walk.path, name!], entry);
  }

  /** The file comes into the layer under its own name too, as a link made on an overlay does: both names stay one file. */
  #linkBelow(path: readonly ByteString[], header: LinkHeader): Inode {
    const key = path.join('/');
    const known = this.#linksByPath.get(key);
    if (known) return known;
    const inode: Extract<Inode, { from: 'below' }> = { from: 'below', path, header };
    this.#linksByPath.set(key, inode);
    this.#folder(path.slice(0, -1)).children.set(path.at(-1)!, inode);
    return inode;
  }

  /** The folder at `parts`, made (as implied) where it is missing. */
  #folder(parts: readonly ByteString[]): LayerFolder {
    return this.#walk(parts, true)!.folder!;
  }

  /**
   * Follows names from the root. With `make`, missing folders are made; without, `folder` is undefined once the way leads
   * through what only the chain below has, and the answer is undefined where there is no way.
   */
  #walk(parts: readonly ByteString[], make: boolean): Step | undefined {
    const pending = parts.toReversed();
    const way: Step[] = [{ folder: this.root, path: [], hidden: this.root.opaque }];
    let symlinks = 0;
    while (pending.length > 0) {
      const part = pending.pop()!;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        // Only a symlink's target can hold one: a path is cleaned before.
        if (way.length === 1) throw refusedCall('statat', parts.join('/'), 'path escapes from parent');
        way.pop();
        continue;
      }
      const next = this.#step(way.at(-1)!, part, make);
      if (typeof next === 'object') {
        way.push(next);
        continue;
      }
      if (next === undefined && !make) return undefined;
      if (next === undefined) throw refusedCall('openat', parts.join('/'), 'not a directory');
      if (++symlinks > maxSymlinks) throw refusedCall('statat', parts.join('/'), 'too many levels of symbolic links');
      if (next.startsWith('/')) way.length = 1;
      pending.push(...next.split('/').reverse());
    }
    return way.at(-1)!;
  }

  /** One name further: a folder, a symlink's target, or undefined where nothing can be walked into. */
  #step(from: Step, name: ByteString, make: boolean): Step | ByteString | undefined {
    const path = [...from.path, name];
    const child = from.folder?.children.get(name);
    const isReplaced = from.folder?.whiteouts.has(name) ?? false;
    if (isFolder(child)) return { folder: child, path, hidden: from.hidden || isReplaced || child.opaque };
    if (child !== undefined) return this.#symlinkTarget(child);
    const hidden = from.hidden || isReplaced;
    const below = hidden ? undefined : this.#below?.(path);
    if (below?.target !== undefined) return below.target;
    if (make) return { folder: addImplied(from.folder!, name), path, hidden };
    return below === undefined ? undefined : { folder: undefined, path, hidden };
  }

  /** Undefined for what is none. A hardlink may have brought one from below. */
  #symlinkTarget(inode: Inode): ByteString | undefined {
    if (inode.from === 'below') return this.#below?.(inode.path)?.target;
    return inode.attributes.type === 'symlink' ? inode.attributes.linkPath : undefined;
  }
}

interface Step {
  readonly folder: LayerFolder | undefined;
  readonly path: readonly ByteString[];
  /** Nothing of the chain below shows through here. */
  readonly hidden: boolean;
}

function linkFault({ path, linkPath }: TarEntry, fact: string): EngineError {
  return refusedCall('linkat', `${linkPath} ${path}`, fact);
}

function addImplied(parent: LayerFolder, name: ByteString): LayerFolder {
  const folder = newFolder();
  parent.children.set(name, folder);
  return folder;
}

/** An entry for a folder that the layer has already: extended attributes of earlier entries stay. */
function describe(folder: LayerFolder, entry: TarEntry): void {
  const attributes = attributesOf(entry);
  folder.attributes = { ...attributes, xattrs: new Map([...(folder.attributes?.xattrs ?? []), ...attributes.xattrs]) };
}

function addWhiteout(parent: LayerFolder, name: ByteString, path: ByteString): void {
  if (name === opaqueName) {
    parent.opaque = true;
    return;
  }
  const hidden = name.slice(whiteoutPrefix.length);
  if (hidden === '' || hidden === '.' || hidden === '..') throw invalidPath('whiteout entry', path);
  parent.whiteouts.add(hidden);
}

/** A whiteout as overlayfs stores it, which some tools pack as it is. */
function isOverlayWhiteout(entry: TarEntry): boolean {
  return entry.type === 'char' && entry.devMajor === 0 && entry.devMinor === 0;
}

function inodeOf(entry: TarEntry): Inode {
  const whole = [{ offset: 0, lengthBytes: entry.storedBytes, storedOffset: 0 }];
  const data = entry.sparse ?? (entry.storedBytes > 0 ? whole : []);
  return { from: 'tar', attributes: attributesOf(entry), data, dataOffset: entry.dataOffset };
}

/** Docker and containerd give the file that a link names the owner, mode and time of the link's header; of a symlink only the owner. */
export function linkedAttributes(file: Attributes, { mode, uid, gid, mtime }: LinkHeader): Attributes {
  return file.type === 'symlink' ? { ...file, uid, gid } : { ...file, mode, uid, gid, mtime };
}

function attributesOf(entry: TarEntry): Attributes {
  const { type, mode, uid, gid, mtime, devMajor, devMinor, linkPath, sizeBytes } = entry;
  if (type === 'hardlink') throw new Error('a hardlink has no attributes of its own');
  const xattrs = [...entry.xattrs].filter(([name]) => !name.startsWith(overlayPrefix));
  const shownMode = type === 'symlink' ? 0o777 : mode;
  return { type, mode: shownMode, uid, gid, mtime, devMajor, devMinor, linkPath, sizeBytes, xattrs: new Map(xattrs) };
}
