import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesFromUtf8, type TarEntry } from '#archive';
import { isErrno } from '#errdefs';
import { type ChainID, chainID, digestHex, digestOf } from '#oci';
import { AbortFlag } from './abort-flag.ts';
import { belowLookup } from './layer-file.ts';
import type { Marks } from './marks.ts';
import { mergedRoot } from './merged.ts';
import { splitPath } from './names.ts';
import { LayerTree } from './tree.ts';
import type { Chain, MountPoint } from './types.ts';
import { writeOverlayLayer } from './write-overlay.ts';

const noChain = 'none';

/**
 * Places that a runtime mounts over and that the image may lack, in a folder of their own between the chain and the writable layer:
 * so they are no change of the container. One folder serves all snapshots of a chain.
 */
export class InitLayers {
  readonly #folder: string;
  readonly #marks: Marks;
  readonly #known = new Set<string>();

  /** `folder` is the driver's own; made when missing. */
  constructor(folder: string, marks: Marks) {
    this.#folder = folder;
    this.#marks = marks;
  }

  async load(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#folder)) if (!name.startsWith('.')) this.#known.add(name);
  }

  /** Where the folder of that name is, to be stacked on its chain. */
  path(name: string): string {
    return `${this.#folder}/${name}`;
  }

  /** The name of the folder for a chain, made when missing; `folders` is the chain, top first. Undefined for no mount points. */
  async ensure(chain: Chain, folders: readonly string[], points: readonly MountPoint[]): Promise<string | undefined> {
    if (points.length === 0) return undefined;
    const id = chainID(chain);
    const name = `${id ? digestHex(id) : noChain}-${digestHex(digestOf(JSON.stringify(points))).slice(0, 16)}`;
    if (!this.#known.has(name)) await this.#make(name, folders, points);
    this.#known.add(name);
    return name;
  }

  /** Small and once for each image, so it is done here and now. */
  async #make(name: string, folders: readonly string[], points: readonly MountPoint[]): Promise<void> {
    const temporary = join(this.#folder, `.new-${randomBytes(8).toString('hex')}`);
    try {
      await mkdir(temporary, { mode: 0o755 });
      const below = { folders: folders.map(bytesFromUtf8), marks: this.#marks };
      const tree = treeOf(points, mergedRoot(below.folders, below.marks));
      writeOverlayLayer({ tree, abort: new AbortFlag() }, bytesFromUtf8(temporary), below);
      await rename(temporary, this.path(name));
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      // Another call was first.
      if (!isErrno(error, 'ENOTEMPTY') && !isErrno(error, 'EEXIST')) throw error;
    }
  }

  /** Forgets the folders of chains that are gone. */
  async remove(chains: readonly ChainID[]): Promise<void> {
    const hexes = new Set(chains.map(digestHex));
    await this.#removeAll((name) => hexes.has(name.split('-')[0]!));
  }

  /** Removes all but those that snapshots stand on, and what is half made. */
  async recover(keep: ReadonlySet<string>): Promise<void> {
    await this.#removeAll((name) => !keep.has(name));
  }

  async #removeAll(isUnwanted: (name: string) => boolean): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      if (!isUnwanted(name)) continue;
      this.#known.delete(name);
      await rm(this.path(name), { recursive: true, force: true });
    }
  }
}

/** What of the mount points the chain lacks. */
export function treeOf(points: readonly MountPoint[], below: ReturnType<typeof mergedRoot>): LayerTree {
  const tree = new LayerTree(below && belowLookup(below));
  for (const point of points) {
    const parts = splitPath(bytesFromUtf8(point.path), 'entry name');
    const place = tree.resolve(parts);
    const isThere = place !== undefined && (place.inLayer || below?.folder?.find(place.path) !== undefined);
    if (!isThere) tree.add(entryOf(point));
  }
  return tree;
}

function entryOf({ path, type, target }: MountPoint): TarEntry {
  return {
    type,
    path: bytesFromUtf8(path),
    linkPath: bytesFromUtf8(target ?? ''),
    mode: type === 'symlink' ? 0o777 : 0o755,
    uid: 0,
    gid: 0,
    userName: '',
    groupName: '',
    mtime: { sec: 0, nsec: 0 },
    atime: undefined,
    ctime: undefined,
    devMajor: 0,
    devMinor: 0,
    sizeBytes: 0,
    xattrs: new Map(),
    headerOffset: 0,
    dataOffset: 0,
    storedBytes: 0,
    sparse: undefined,
  };
}
