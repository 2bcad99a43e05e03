import type { ByteString } from '#archive';
import type { StoredBlob } from '#content';
import type { EngineError } from '#errdefs';
import type { AbortFlag } from './abort-flag.ts';
import { readAttributes, typeOfStat, writeAttributes } from './attributes.ts';
import { applying, createFile, defaultFolder, fileData, linkFile, tarData } from './create.ts';
import { type Marks, makeOpaque, remove } from './marks.ts';
import { type MergedFile, mergedRoot } from './merged.ts';
import { refusedCall } from './names.ts';
import { type Attributes, type Inode, isFolder, type LayerFolder, type LayerTree, linkedAttributes } from './tree.ts';

export interface LayerSource {
  readonly tree: LayerTree;
  /** The layer's tar, for the data; absent of layers that have none. */
  readonly tar?: StoredBlob;
  readonly abort: AbortFlag;
}

/** What a layer is stacked on: folders, top first, and how they and it tell what they remove. */
export interface StackBelow {
  readonly folders: readonly ByteString[];
  readonly marks: Marks;
}

/** Looked up only where the layer leaves something to the chain below. */
type Below = () => MergedFile | undefined;

/**
 * Writes a layer into an empty folder in the form that is stacked. Blocking.
 */
export function writeOverlayLayer(source: LayerSource, target: ByteString, below: StackBelow): void {
  new OverlayWriter(source, below).write(target);
}

class OverlayWriter {
  readonly #source: LayerSource;
  readonly #below: MergedFile | undefined;
  readonly #marks: Marks;
  readonly #written = new Map<Inode, ByteString>();

  constructor(source: LayerSource, { folders, marks }: StackBelow) {
    this.#source = source;
    this.#below = mergedRoot(folders, marks);
    this.#marks = marks;
  }

  write(target: ByteString): void {
    const { root, linksBelow } = this.#source.tree;
    // Also of links that a later entry of the layer replaced: applied one after another they would have failed.
    for (const { path } of linksBelow) this.#linkTarget(path);
    this.#contents(root, target, () => this.#below);
    // overlayfs merges the roots of a stack whatever their attributes say, so an opaque root hides name by name.
    if (root.opaque) this.#hideRoot(root, target);
    this.#finish(root, target, () => this.#below);
  }

  #hideRoot(root: LayerFolder, target: ByteString): void {
    for (const name of this.#below?.folder?.candidates() ?? []) {
      if (root.whiteouts.has(name)) continue;
      const child = root.children.get(name);
      if (child === undefined) this.#whiteout(target, name);
      else if (isFolder(child)) this.#makeOpaque(`${target}/${name}`);
    }
  }

  #contents(folder: LayerFolder, path: ByteString, below: Below): void {
    this.#source.abort.check();
    this.#whiteouts(folder, path, below);
    for (const [name, child] of folder.children) {
      const childPath = `${path}/${name}`;
      if (!isFolder(child)) {
        applying(childPath, () => this.#file(child, childPath));
        continue;
      }
      const isHidden = folder.opaque || folder.whiteouts.has(name);
      const childBelow = isHidden ? () => undefined : once(() => below()?.folder?.child(name));
      applying(childPath, () => createFile(childPath, defaultFolder, () => {}));
      if (folder.whiteouts.has(name)) this.#makeOpaque(childPath);
      this.#contents(child, childPath, childBelow);
      this.#finish(child, childPath, childBelow);
    }
  }

  /** Only where there is something to hide: in a folder it does not merge, overlayfs lists a whiteout as a name. */
  #whiteouts(folder: LayerFolder, path: ByteString, below: Below): void {
    if (folder.opaque) return;
    for (const name of folder.whiteouts) {
      if (folder.children.has(name) || below()?.folder?.child(name) === undefined) continue;
      this.#whiteout(path, name);
    }
  }

  /** A folder's own attributes come last: what is made in it changes its time. */
  #finish(folder: LayerFolder, path: ByteString, below: Below): void {
    applying(path, () => writeAttributes(path, folder.attributes ?? impliedAttributes(below())));
    if (folder.opaque) this.#makeOpaque(path);
  }

  #whiteout(folder: ByteString, name: ByteString): void {
    applying(`${folder}/${name}`, () => remove(folder, name, this.#marks));
  }

  #makeOpaque(path: ByteString): void {
    makeOpaque(path, this.#marks);
  }

  #file(inode: Inode, path: ByteString): void {
    const first = this.#written.get(inode);
    if (first !== undefined) {
      linkFile(first, path);
      return;
    }
    if (inode.from === 'tar') createFile(path, inode.attributes, tarData(inode, this.#source.tar));
    else this.#copyUp(inode, path);
    this.#written.set(inode, path);
  }

  #copyUp({ path: parts, header }: Extract<Inode, { from: 'below' }>, path: ByteString): void {
    const origin = this.#linkTarget(parts);
    const attributes = linkedAttributes(readAttributes(origin.path, origin.stat), header);
    createFile(path, attributes, fileData(origin.path, attributes.sizeBytes));
  }

  #linkTarget(parts: readonly ByteString[]): MergedFile {
    const origin = this.#below?.folder?.find(parts);
    if (origin === undefined || typeOfStat(origin.stat) === 'directory') throw noLinkTarget(parts);
    return origin;
  }
}

/** A parent that the layer does not describe is what the chain below says it is. */
function impliedAttributes(below: MergedFile | undefined): Attributes {
  if (below === undefined || typeOfStat(below.stat) !== 'directory') return defaultFolder;
  return readAttributes(below.path, below.stat);
}

export function noLinkTarget(parts: readonly ByteString[]): EngineError {
  return refusedCall('linkat', parts.join('/'), 'no such file or directory');
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
