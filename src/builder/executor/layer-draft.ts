import { type ByteString, clampTime, endOfArchive, packHeader, packPadding, type TimeClamp } from '#archive';
import { EngineError } from '#errdefs';
import { type ByteSource, type FilePart, type Part, PartedSource } from '#streams';
import { pace } from './pace.ts';
import { joinTree, parentOf, plainFolder, printable, type SourceTree, type TreeNode } from './source-tree.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** What folders are that are made because something needs them; without a mode, 0755. */
export type NewFolder = Owner & Pick<TreeNode, 'mtime'> & Partial<Pick<TreeNode, 'mode'>>;

/** What the header of a hardlink says of the file. */
export interface LinkHeader {
  readonly owner: Owner;
  readonly file: Pick<TreeNode, 'mode' | 'mtime'>;
}

type Attributes = ReadonlyMap<ByteString, Uint8Array>;

interface Staged {
  readonly node: TreeNode;
  readonly xattrs: Attributes;
  readonly open: (() => ByteSource) | undefined;
  /** Where the content is, if it is in a file that stays open until the layer is written. */
  readonly place?: (() => FilePart | AsyncIterable<FilePart> | undefined) | undefined;
}

const noAttributes: Attributes = new Map();
const whiteoutPrefix = '.wh.';
const opaqueMarker = '.wh..wh..opq';
/** Headers of folders and links that go on as one. */
const maxGathered = 64;

/**
 * A layer in the making: new files over a tree that is only read. Reads answer what a container would see; `pack` is the layer's tar: everything
 * new with all its parent folders, sorted, so that equal changes give equal bytes.
 */
export class LayerDraft implements Pick<SourceTree, 'lstat'> {
  readonly #base: SourceTree;
  readonly #staged = new Map<ByteString, Staged>();
  /** Folders of the base that something else took the place of. */
  readonly #hidden = new Set<ByteString>();
  /** What links said of their files, by inode. */
  readonly #linked = new Map<string, Partial<TreeNode>>();
  /** Folders made where nothing was: nothing of the base is below them. */
  readonly #fresh = new Set<ByteString>();

  constructor(base: SourceTree) {
    this.#base = base;
  }

  get isEmpty(): boolean {
    return this.#staged.size === 0;
  }

  async lstat(path: ByteString): Promise<TreeNode | undefined> {
    const staged = this.#staged.get(path);
    if (staged) return this.#factsOf(staged.node);
    for (let at = path; at !== ''; at = parentOf(at)) {
      if (this.#hidden.has(at) || this.#fresh.has(at)) return undefined;
      const above = this.#staged.get(at);
      if (above && above.node.type !== 'directory') return undefined;
    }
    return await this.#base.lstat(path);
  }

  /** Reads a file as it stands now; for lookups, not for bulk. */
  read(path: ByteString): ByteSource {
    return this.#staged.get(path)?.open?.() ?? this.#base.read(path);
  }

  /**
   * Makes `path` a folder with all its parents; those that are there stay as they are. Answers whether anything was made.
   * @throws EngineError `failed-precondition` where a file is in the way
   */
  async makeFolders(path: ByteString, made: NewFolder): Promise<boolean> {
    if (path === '') return false;
    const existing = await this.lstat(path);
    if (existing?.type === 'directory') return false;
    if (existing) throw new EngineError('failed-precondition', `mkdir /${printable(path)}: not a directory`);
    await this.makeFolders(parentOf(path), made);
    await this.put(path, { ...plainFolder, ...made });
    return true;
  }

  /**
   * Puts a file, in the place of what is there: a folder over a folder keeps what is in it, everything else is replaced. The parent must be a folder.
   * `open` may be called more than once.
   */
  async put(
    path: ByteString,
    node: TreeNode,
    content: Partial<Pick<Staged, 'open' | 'place' | 'xattrs'>> = {},
  ): Promise<void> {
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (name.startsWith(whiteoutPrefix)) {
      throw new EngineError(
        'invalid-argument',
        `cannot store /${printable(path)}: names that start with ${whiteoutPrefix} mark deletions in layers`,
      );
    }
    const existing = path === '' ? undefined : await this.lstat(path);
    if (existing && !(existing.type === 'directory' && node.type === 'directory')) await this.#replace(path, existing);
    if (!existing && path !== '' && node.type === 'directory') this.#fresh.add(path);
    const { xattrs = noAttributes, open, place } = content;
    this.#staged.set(path, { node, xattrs, open, place });
  }

  /**
   * Makes `path` another name of the file at `target`, and gives the file the owner, and where it is no symlink the mode and time, of the link's
   * header, as Docker does. Answers false when there is no file to link to.
   */
  async link(target: ByteString, path: ByteString, newInode: () => string, header: LinkHeader): Promise<boolean> {
    const node = await this.lstat(target);
    if (!node || node.type === 'directory') return false;
    const staged = this.#staged.get(target) ?? {
      node,
      xattrs: await this.#base.xattrs(target),
      open: node.type === 'file' ? () => this.#base.read(target) : undefined,
    };
    const inode = node.inode ?? newInode();
    const linked = { ...staged, node: { ...node, inode } };
    await this.put(path, linked.node, { xattrs: linked.xattrs, ...(linked.open ? { open: linked.open } : {}) });
    this.#staged.set(target, linked);
    this.#linked.set(inode, { ...header.owner, ...(node.type === 'symlink' ? {} : header.file) });
    return true;
  }

  /** All names of a file have the owner, mode and time that the last of its headers brought. */
  #factsOf(node: TreeNode): TreeNode {
    return node.inode === undefined ? node : { ...node, ...this.#linked.get(node.inode) };
  }

  async #replace(path: ByteString, existing: TreeNode): Promise<void> {
    this.#staged.delete(path);
    if (existing.type !== 'directory') return;
    const below = `${path}/`;
    for (const other of this.#staged.keys()) if (other.startsWith(below)) this.#staged.delete(other);
    for (const other of this.#fresh) if (other === path || other.startsWith(below)) this.#fresh.delete(other);
    if ((await this.#base.lstat(path))?.type === 'directory') this.#hidden.add(path);
  }

  /** The layer's tar, its times clamped where they shall be. */
  pack(options: { signal: AbortSignal; clamp?: TimeClamp | undefined }): PartedSource {
    return new PartedSource(this.#parts(options));
  }

  async *#parts(options: { signal: AbortSignal; clamp?: TimeClamp | undefined }): AsyncGenerator<Part> {
    const names = new Map<string, ByteString>();
    const rest = pace();
    let small: Uint8Array[] = [];
    for (const path of await this.#withParents()) {
      options.signal.throwIfAborted();
      await rest();
      if (path === '') continue;
      const staged = this.#staged.get(path) ?? (await this.#fromBase(path));
      const { headers, hasContent } = this.#headersOf(path, staged, names, options.clamp);
      small.push(...headers);
      if (!hasContent && small.length < maxGathered) continue;
      yield Buffer.concat(small);
      small = [];
      if (!hasContent) continue;
      const place = staged.place?.();
      if (place && Symbol.asyncIterator in place) yield* place;
      else if (place?.lengthBytes === staged.node.sizeBytes) yield place;
      else yield* contentOf(path, staged);
      small.push(packPadding(staged.node.sizeBytes));
    }
    yield Buffer.concat([...small, endOfArchive]);
  }

  async #withParents(): Promise<ByteString[]> {
    const paths = new Set<ByteString>();
    for (const path of this.#staged.keys()) {
      for (let at = path; at !== '' && !paths.has(at); at = parentOf(at)) paths.add(at);
    }
    return [...paths].sort();
  }

  #headersOf(
    path: ByteString,
    staged: Staged,
    names: Map<string, ByteString>,
    clamp: TimeClamp | undefined,
  ): { readonly headers: readonly Buffer[]; readonly hasContent: boolean } {
    const facts = this.#factsOf(staged.node);
    const node = { ...facts, mtime: clampTime(facts.mtime, clamp) };
    const first = node.inode === undefined ? undefined : names.get(node.inode);
    if (first !== undefined) {
      return { headers: [packHeader({ ...node, type: 'hardlink', path, linkPath: first })], hasContent: false };
    }
    if (node.inode !== undefined) names.set(node.inode, path);
    const headers = [packHeader({ ...node, path, xattrs: staged.xattrs })];
    if (node.type === 'directory' && this.#hidden.has(path)) {
      headers.push(packHeader({ type: 'file', path: joinTree(path, opaqueMarker) }));
    }
    return { headers, hasContent: node.type === 'file' && node.sizeBytes > 0 };
  }

  async #fromBase(path: ByteString): Promise<Staged> {
    const node = await this.#base.lstat(path);
    if (node?.type !== 'directory') {
      throw new EngineError('internal', `pack layer: /${printable(path)} is no folder`);
    }
    return { node, xattrs: await this.#base.xattrs(path), open: undefined };
  }
}

async function* contentOf(path: ByteString, { node, open }: Staged): AsyncGenerator<Uint8Array> {
  let left = node.sizeBytes;
  for await (const chunk of open?.() ?? []) {
    left -= chunk.length;
    if (left < 0) break;
    yield chunk;
  }
  if (left !== 0) throw new EngineError('data-loss', `pack layer: /${printable(path)} changed while it was read`);
}
