import { mkdirSync } from 'node:fs';
import { type ByteString, bytesOf } from '#archive';
import { dropOtherXattrs, readAttributes, statOf, typeOfStat, writeAttributes } from './attributes.ts';
import { applying, createFile, defaultFolder, linkFile, removeTree, tarData } from './create.ts';
import { listNames } from './marks.ts';
import { auxiliaryPrefix } from './names.ts';
import { type Inode, isFolder, type LayerFolder, linkedAttributes } from './tree.ts';
import { type LayerSource, noLinkTarget } from './write-overlay.ts';

/**
 * Applies a layer to a tree that holds the chain below it, or to an empty one when there is none. Every step is a name in a folder that
 * was seen to be one, so a symlink of the chain leads nowhere. Blocking.
 */
export function writePlainLayer(
  source: LayerSource,
  { root, isBottom }: { root: ByteString; isBottom: boolean },
): void {
  const before = isBottom ? defaultFolder : readAttributes(root);
  const staging = `${root}/${auxiliaryPrefix}links`;
  const staged = stageLinks(source, root, staging);
  new PlainWriter(source, staged).folder(source.tree.root, root, !isBottom);
  if (staged.size === 0) return;
  removeTree(staging);
  writeAttributes(root, source.tree.root.attributes ?? before);
}

/**
 * Files below that the layer links to keep a name of their own, so that it may replace the one they have: in the tree, since a link may not
 * leave it, under a name that no layer can bring.
 */
function stageLinks(source: LayerSource, root: ByteString, staging: ByteString): Map<Inode, ByteString> {
  const staged = new Map<Inode, ByteString>();
  for (const inode of source.tree.linksBelow) {
    const origin = findPlain(root, inode.path);
    if (origin === undefined) throw noLinkTarget(inode.path);
    if (staged.size === 0) mkdirSync(bytesOf(staging), 0o700);
    const path = `${staging}/${staged.size}`;
    linkFile(origin, path);
    writeAttributes(path, linkedAttributes(readAttributes(path), inode.header));
    staged.set(inode, path);
  }
  return staged;
}

function findPlain(root: ByteString, parts: readonly ByteString[]): ByteString | undefined {
  let path = root;
  for (const [index, part] of parts.entries()) {
    path = `${path}/${part}`;
    const stat = statOf(path);
    const isLast = index === parts.length - 1;
    if (stat === undefined || (typeOfStat(stat) === 'directory') === isLast) return undefined;
  }
  return path;
}

class PlainWriter {
  readonly #source: LayerSource;
  readonly #written: Map<Inode, ByteString>;

  constructor(source: LayerSource, staged: Map<Inode, ByteString>) {
    this.#source = source;
    this.#written = staged;
  }

  folder(folder: LayerFolder, path: ByteString, existed: boolean): void {
    this.#source.abort.check();
    const before = existed ? readAttributes(path) : defaultFolder;
    if (existed) clear(folder, path);
    for (const [name, child] of folder.children) {
      const childPath = `${path}/${name}`;
      if (isFolder(child)) this.#child(child, childPath);
      else applying(childPath, () => this.#file(child, childPath));
    }
    applying(path, () => {
      if (existed && folder.attributes) dropOtherXattrs(path, folder.attributes);
      writeAttributes(path, folder.attributes ?? before);
    });
  }

  #child(child: LayerFolder, path: ByteString): void {
    const stat = statOf(path);
    const existed = stat !== undefined && typeOfStat(stat) === 'directory';
    if (!existed) {
      applying(path, () => {
        removeTree(path);
        mkdirSync(bytesOf(path), 0o700);
      });
    }
    this.folder(child, path, existed);
  }

  #file(inode: Inode, path: ByteString): void {
    removeTree(path);
    const first = this.#written.get(inode);
    if (first !== undefined) {
      linkFile(first, path);
      return;
    }
    if (inode.from === 'below') throw noLinkTarget(inode.path);
    createFile(path, inode.attributes, tarData(inode, this.#source.tar));
    this.#written.set(inode, path);
  }
}

/** Whiteouts and opaque folders hide what is below, never what the layer itself brings: they come first. */
function clear(folder: LayerFolder, path: ByteString): void {
  const hidden = folder.opaque ? listNames(path).filter((name) => !name.startsWith(auxiliaryPrefix)) : folder.whiteouts;
  for (const name of hidden) applying(`${path}/${name}`, () => removeTree(`${path}/${name}`));
}
