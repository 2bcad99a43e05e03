import type { ByteString, TarEntry } from '#archive';
import { encodeDevice, fieldsOf, InodeCopier, setLink } from './copy-up.ts';
import { modes, modeType } from './format.ts';
import type { InodeFields } from './inodes.ts';
import { cleanPath, refuseCall, refuseEntry, refusePath, whiteoutPrefix } from './paths.ts';
import { LayerTree, rootInode } from './tree.ts';
import type { DataSource, LowerInode, LowerLookup } from './types.ts';
import { keptXattrs } from './xattrs.ts';

/** AUFS' own bookkeeping, which no layer means as files (image-spec v1.1 layer.md §Whiteouts reserves the prefix). */
const whiteoutMetaPrefix = '.wh..wh.';
const opaqueMarker = '.wh..wh..opq';

/** What a layer turned out to need from the layers below it. */
export interface LayerNeeds {
  /** Directories that entries lie in before, or without, having one of their own: what they are comes from below. */
  readonly impliedParents: boolean;
  /** Hardlinks whose target is not in the layer. They are left out of the index until a lookup finds them. */
  readonly outsideHardlinks: boolean;
  /** The root directory has no entry: its attributes come from below. */
  readonly impliedRoot: boolean;
  /** The layer hides all below it, which overlayfs does not read off a root: the chain below has to be whited out name by name. */
  readonly opaqueRoot: boolean;
}

/**
 * Turns the entries of a layer's tar, in order, into the tree that extracting them would leave. Whiteouts become what overlayfs understands
 * (a character device 0/0, `trusted.overlay.opaque`); a name that is both whited out and present is present, and opaque if a directory.
 *
 * With `lower` (the chain below), directories a layer implies keep their attributes, and hardlinks to files below are resolved; without,
 * {@link needs} says what is missing.
 *
 * @throws EngineError `invalid-argument` from `add` for entries that leave the root, lie below files, or cannot exist on Linux.
 */
export class LayerIndexer {
  readonly tree: LayerTree;
  /** Devices by number, from 1: the layer's own tar, then those of lower layers that hardlinks need. */
  readonly devices: DataSource[];
  readonly #lower: LowerLookup | undefined;
  readonly #copier: InodeCopier;
  #outsideHardlinks = false;

  constructor(tar: DataSource, lower?: LowerLookup) {
    this.devices = [tar];
    this.#lower = lower;
    this.tree = new LayerTree(lower, (inode) => this.#copier.copy(inode));
    this.#copier = new InodeCopier(this.tree.inodes, this.devices);
  }

  add(entry: TarEntry): void {
    const components = cleanPath(entry.path, 'entry name');
    const name = components.at(-1);
    if (name === undefined) this.#addRoot(entry);
    else if (components[0]!.startsWith(whiteoutMetaPrefix) && components[0] !== opaqueMarker) return;
    else if (name === opaqueMarker) this.#markOpaque(components);
    else if (name.startsWith(whiteoutPrefix)) this.#whiteout(components, name.slice(whiteoutPrefix.length));
    else if (entry.type === 'hardlink') this.#hardlink(components, entry);
    else this.#place(this.tree.parentOf(components), name, entry);
  }

  /** Fills in what the chain below knows of the root. Call once, after the last entry. */
  finish(): LayerNeeds {
    const { root } = this.tree;
    const lowerRoot = root.implied ? this.#lower?.('') : undefined;
    if (lowerRoot) {
      this.tree.inodes.set(rootInode, fieldsOf(lowerRoot));
      if (lowerRoot.xattrs.size > 0) this.tree.inodes.xattrs.set(rootInode, lowerRoot.xattrs);
      root.implied = false;
    }
    return {
      impliedParents: this.tree.leans,
      outsideHardlinks: this.#outsideHardlinks,
      impliedRoot: root.implied,
      opaqueRoot: root.opaque,
    };
  }

  #addRoot(entry: TarEntry): void {
    // Anything else at the root is passed over, as dockerd does.
    if (entry.type === 'directory') this.#setDirectory(rootInode, entry);
  }

  #setDirectory(inode: number, entry: TarEntry): void {
    const { inodes } = this.tree;
    const directory = this.tree.directories.get(inode)!;
    inodes.set(inode, entryFields(entry, modes.directory));
    // What an earlier entry of the layer gave it stays; what the chain below gave it is not the layer's.
    const earlier = directory.inherited ? [] : (inodes.xattrs.get(inode) ?? []);
    const xattrs = keptXattrs(new Map([...earlier, ...entry.xattrs]), entry.path);
    if (xattrs.size > 0) inodes.xattrs.set(inode, xattrs);
    else inodes.xattrs.delete(inode);
    directory.implied = false;
    directory.inherited = false;
  }

  #markOpaque(components: readonly ByteString[]): void {
    const inode = this.tree.parentOf(components);
    this.tree.hideBelow(inode);
  }

  #whiteout(components: readonly ByteString[], name: ByteString): void {
    if (name === '' || name === '.' || name === '..') refusePath('whiteout entry', components.join('/'));
    this.tree.whiteout(this.tree.parentOf(components), name);
  }

  #place(parent: number, name: ByteString, entry: TarEntry): void {
    const { inodes, directories } = this.tree;
    const previous = this.tree.child(parent, name);
    if (entry.type === 'directory') {
      if (previous !== undefined && this.tree.isDirectory(previous)) {
        this.#setDirectory(previous, entry);
        return;
      }
      const inode = inodes.add(entryFields(entry, modes.directory));
      this.tree.put(parent, name, inode);
      this.#setDirectory(inode, entry);
      directories.get(inode)!.opaque = directories.get(parent)!.hidden?.has(name) ?? false;
      return;
    }
    this.tree.put(parent, name, this.#inodeOf(entry));
  }

  #inodeOf(entry: TarEntry): number {
    const { inodes } = this.tree;
    const type = entry.type === 'hardlink' ? 'file' : entry.type;
    const inode = inodes.add(entryFields(entry, modes[type]));
    const xattrs = keptXattrs(entry.xattrs, entry.path);
    if (xattrs.size > 0) inodes.xattrs.set(inode, xattrs);
    if (type === 'symlink') setLink(inodes, inode, entry.linkPath, entry.path);
    else if (type === 'char' || type === 'block')
      inodes.data[inode] = encodeDevice(entry.devMajor, entry.devMinor, entry.path);
    else if (type === 'file') this.#setData(inode, entry);
    return inode;
  }

  #setData(inode: number, entry: TarEntry): void {
    const { inodes } = this.tree;
    inodes.sizeBytes[inode] = entry.sizeBytes;
    if (entry.sparse === undefined) {
      inodes.data[inode] = entry.dataOffset;
      inodes.device[inode] = 1;
      return;
    }
    const source = this.devices[0]!;
    inodes.runs.set(
      inode,
      entry.sparse.map(({ offset, lengthBytes, storedOffset }) => ({
        offset,
        lengthBytes,
        source,
        sourceOffset: entry.dataOffset + storedOffset,
      })),
    );
  }

  /** A link names an inode as it is now: replacing the target later leaves the link alone, as link(2) does. */
  #hardlink(components: readonly ByteString[], entry: TarEntry): void {
    const target = cleanPath(entry.linkPath, 'hardlink target');
    const found = this.tree.find(target);
    if (found === undefined) {
      if (this.#lower) refuseLink(target, components, 'no such file or directory');
      this.#outsideHardlinks = true;
      return;
    }
    if ('lower' in found && found.lower.type === 'directory') refuseLink(target, components, 'operation not permitted');
    const inode = 'inode' in found ? found.inode : this.#copyUpAt(found.path, found.lower);
    if (this.tree.isDirectory(inode)) {
      if (this.#lower || !this.tree.leans) refuseLink(target, components, 'operation not permitted');
      // Below it may be a symlink, which what made the directory here goes through.
      this.#outsideHardlinks = true;
      return;
    }
    this.tree.put(this.tree.parentOf(components), components.at(-1)!, inode);
    this.#setLinked(inode, entry);
  }

  /** Docker and containerd give the file that a link names the owner, mode and time of the link's header; of a symlink only the owner. */
  #setLinked(inode: number, entry: TarEntry): void {
    const { inodes } = this.tree;
    const type = inodes.mode[inode]! & modeType;
    const fields = entryFields(entry, type);
    if (type === modes.symlink) {
      inodes.uid[inode] = fields.uid;
      inodes.gid[inode] = fields.gid;
    } else inodes.set(inode, fields);
  }

  /** link(2) on overlayfs copies the target up first, so that both names share an inode of this layer. */
  #copyUpAt(path: readonly ByteString[], lower: LowerInode): number {
    const inode = this.#copier.copy(lower);
    this.tree.put(this.tree.parentOf(path), path.at(-1)!, inode);
    return inode;
  }
}

function refuseLink(target: readonly ByteString[], path: readonly ByteString[], fact: string): never {
  refuseCall('linkat', `${target.join('/')} ${path.join('/')}`, fact);
}

/** uid_t and gid_t; the highest value means "none" to the kernel. */
const maxOwner = 0xfffffffe;

function entryFields(entry: TarEntry, type: number): InodeFields {
  const { uid, gid } = entry;
  // Linux knows one mode of symlinks, whatever a tar says.
  const mode = type === modes.symlink ? 0o777 : entry.mode;
  if (uid < 0 || gid < 0 || uid > maxOwner || gid > maxOwner) refuseEntry(entry.path, 'an owner out of range');
  return { mode: type | mode, uid, gid, mtimeSec: entry.mtime.sec, mtimeNsec: entry.mtime.nsec };
}
