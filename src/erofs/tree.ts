import type { ByteString } from '#archive';
import { modes, modeType } from './format.ts';
import { type InodeFields, InodeTable } from './inodes.ts';
import { refuseCall } from './paths.ts';
import type { LowerInode, LowerLookup } from './types.ts';

export interface Directory {
  readonly inode: number;
  readonly parent: number;
  readonly entries: Map<ByteString, number>;
  /** Names that the layer hides below, whatever it has put there since. Most directories have none. */
  hidden: Set<ByteString> | undefined;
  /** Made for the sake of what is in it; nothing is known of its own attributes. */
  implied: boolean;
  /** The same, and the chain below had it: its attributes are from there. */
  inherited: boolean;
  /** Hides what lower layers have under the same path. */
  opaque: boolean;
}

export const rootInode = 1;
const maxSymlinks = 40;
/** What is made where nobody says what it is. */
const defaultDirectory: InodeFields = { mode: modes.directory | 0o755, uid: 0, gid: 0, mtimeSec: 0, mtimeNsec: 0 };

/**
 * The files of a layer as extraction would leave them. Paths are resolved as a process in the root would: symlinks of the layer (and, with a
 * lookup, of the chain below) are followed, and no path leads outside.
 */
export class LayerTree {
  readonly inodes = new InodeTable();
  readonly directories = new Map<number, Directory>();
  /** Inode all whiteouts share, once there is one. */
  whiteoutInode = 0;
  /** A directory was made for the sake of what is in it: what the chain below has there decides what it is, and whether it is one. */
  leans = false;
  readonly #lower: LowerLookup | undefined;
  /** How to make an inode of the chain's in this layer; only called with a lookup. */
  readonly #copyUp: (lower: LowerInode) => number;
  #cachedPath: ByteString | undefined;
  #cachedParent = rootInode;

  constructor(lower: LowerLookup | undefined, copyUp: (lower: LowerInode) => number) {
    this.#lower = lower;
    this.#copyUp = copyUp;
    this.inodes.add(defaultDirectory);
    this.#addDirectory(rootInode, rootInode, true);
  }

  get root(): Directory {
    return this.directories.get(rootInode)!;
  }

  isDirectory(inode: number): boolean {
    return (this.inodes.mode[inode]! & modeType) === modes.directory;
  }

  /** The entry there, whiteouts included. */
  child(parent: number, name: ByteString): number | undefined {
    return this.directories.get(parent)!.entries.get(name);
  }

  /** Puts an inode at a name; what was there before goes, with all below it. */
  put(parent: number, name: ByteString, inode: number): void {
    const directory = this.directories.get(parent)!;
    const previous = directory.entries.get(name);
    if (previous !== undefined && previous !== inode) this.#forgetPaths();
    directory.entries.set(name, inode);
    if (this.isDirectory(inode) && !this.directories.has(inode)) this.#addDirectory(inode, parent, false);
  }

  whiteout(parent: number, name: ByteString): void {
    if (this.whiteoutInode === 0)
      this.whiteoutInode = this.inodes.add({ mode: modes.char, uid: 0, gid: 0, mtimeSec: 0, mtimeNsec: 0 });
    const directory = this.directories.get(parent)!;
    directory.hidden ??= new Set();
    directory.hidden.add(name);
    const existing = this.child(parent, name);
    if (existing === undefined) this.put(parent, name, this.whiteoutInode);
    else if (this.isDirectory(existing)) {
      this.#disown(existing);
      this.hideBelow(existing);
    }
  }

  /** Lets nothing of the chain below show through a directory: whatever it holds by now came without it. */
  hideBelow(directory: number): void {
    const { entries } = this.directories.get(directory)!;
    this.directories.get(directory)!.opaque = true;
    for (const child of entries.values()) if (this.isDirectory(child)) this.#disownAll(child);
  }

  #disownAll(directory: number): void {
    this.#disown(directory);
    for (const child of this.directories.get(directory)!.entries.values())
      if (this.isDirectory(child)) this.#disownAll(child);
  }

  #disown(inode: number): void {
    const directory = this.directories.get(inode)!;
    if (!directory.inherited) return;
    directory.inherited = false;
    this.inodes.set(inode, defaultDirectory);
    this.inodes.xattrs.delete(inode);
  }

  /** The directory that holds `components`' last name, made where it is missing. */
  parentOf(components: readonly ByteString[]): number {
    const path = components.length > 1 ? components.slice(0, -1).join('/') : '';
    if (path === this.#cachedPath) return this.#cachedParent;
    const parent = this.#directory(components.slice(0, -1));
    this.#cachedPath = path;
    this.#cachedParent = parent;
    return parent;
  }

  /**
   * Finds a path without following its last name: an inode of this layer, or of the chain below together with where it would be here.
   */
  find(components: readonly ByteString[]): { inode: number } | { lower: LowerInode; path: ByteString[] } | undefined {
    const walk = this.#walk(components.slice(0, -1), false);
    const name = components.at(-1);
    if (walk === undefined || name === undefined) return undefined;
    const inode = walk.directory === undefined ? undefined : this.child(walk.directory, name);
    if (inode !== undefined) return inode === this.whiteoutInode ? undefined : { inode };
    const path = [...walk.path, name];
    const lower = walk.hidden ? undefined : this.#lower?.(path.join('/'));
    return lower && { lower, path };
  }

  #directory(components: readonly ByteString[]): number {
    return this.#walk(components, true)!.directory!;
  }

  /**
   * Walks to a directory. With `make`, missing ones are made; without, `directory` is undefined once the way leads through what only the
   * chain below has, and the answer is undefined when there is no such way.
   */
  #walk(components: readonly ByteString[], make: boolean): Walk | undefined {
    const pending = components.toReversed();
    const way: Step[] = [{ directory: rootInode, name: '', hidden: this.root.opaque }];
    for (let symlinks = 0; pending.length > 0; ) {
      const name = pending.pop()!;
      if (name === '' || name === '.') continue;
      if (name === '..') {
        // Only a symlink's target can hold one: the names in a tar are cleaned before.
        if (way.length === 1) refuseCall('statat', components.join('/'), 'path escapes from parent');
        way.pop();
        continue;
      }
      const step = this.#step(way, name, make);
      if (step === undefined) return undefined;
      if (typeof step === 'object') {
        way.push(step);
        continue;
      }
      if (++symlinks > maxSymlinks) refuseCall('statat', components.join('/'), 'too many levels of symbolic links');
      if (step.startsWith('/')) way.length = 1;
      pending.push(...step.split('/').reverse());
    }
    const last = way.at(-1)!;
    return { directory: last.directory, hidden: last.hidden, path: way.slice(1).map((step) => step.name) };
  }

  /** One name further: a directory, the target of a symlink, or undefined when there is nothing to walk into. */
  #step(way: readonly Step[], name: ByteString, make: boolean): Step | ByteString | undefined {
    const from = way.at(-1)!;
    const inode = from.directory === undefined ? undefined : this.child(from.directory, name);
    if (inode === undefined) return this.#stepBelow(way, name, make);
    if (this.isDirectory(inode))
      return { directory: inode, name, hidden: from.hidden || this.directories.get(inode)!.opaque };
    const link = this.inodes.links.get(inode);
    if (link !== undefined) return link;
    if (inode !== this.whiteoutInode || !make) {
      if (!make) return undefined;
      refuseCall('openat', [...way.slice(1).map((step) => step.name), name].join('/'), 'not a directory');
    }
    const made = this.#make(from.directory!, name, undefined);
    this.directories.get(made)!.opaque = true;
    this.directories.get(made)!.implied = false;
    return { directory: made, name, hidden: true };
  }

  #stepBelow(way: readonly Step[], name: ByteString, make: boolean): Step | ByteString | undefined {
    const from = way.at(-1)!;
    const path = [...way.slice(1).map((step) => step.name), name].join('/');
    const lower = from.hidden ? undefined : this.#lower?.(path);
    if (lower?.type === 'symlink') return lower.linkPath;
    const isKnown = lower?.type === 'directory';
    if (!make) return isKnown ? { directory: undefined, name, hidden: from.hidden } : undefined;
    const made = this.#make(from.directory!, name, isKnown ? lower : undefined);
    return { directory: made, name, hidden: from.hidden };
  }

  #make(parent: number, name: ByteString, lower: LowerInode | undefined): number {
    const inode = lower ? this.#copyUp(lower) : this.inodes.add(defaultDirectory);
    this.put(parent, name, inode);
    const directory = this.directories.get(inode)!;
    directory.implied = this.#lower === undefined;
    this.leans ||= directory.implied;
    directory.inherited = lower !== undefined;
    return inode;
  }

  #addDirectory(inode: number, parent: number, implied: boolean): void {
    this.directories.set(inode, {
      inode,
      parent,
      entries: new Map(),
      hidden: undefined,
      implied,
      inherited: false,
      opaque: false,
    });
  }

  #forgetPaths(): void {
    this.#cachedPath = undefined;
  }
}

interface Step {
  readonly directory: number | undefined;
  readonly name: ByteString;
  /** An opaque directory on the way: nothing below this layer shows through. */
  readonly hidden: boolean;
}

interface Walk {
  readonly directory: number | undefined;
  readonly hidden: boolean;
  readonly path: ByteString[];
}
