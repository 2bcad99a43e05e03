import { type ByteString, readTar, type TarItem, type TarTime } from '#archive';
import { EngineError } from '#errdefs';
import type { ByteSource } from '#streams';
import { inflateAny } from './inflate.ts';
import type { LayerDraft } from './layer-draft.ts';
import {
  cleanTreePath,
  joinTree,
  type NodeType,
  parentOf,
  printable,
  resolvePath,
  type TreeNode,
} from './source-tree.ts';

const root = { uid: 0, gid: 0 };

interface UnpackOptions {
  readonly signal: AbortSignal;
  /** Of folders that the archive does not have; absent, that of the entry that needs them. */
  readonly moment?: TarTime;
  readonly store: (body: ByteSource) => Promise<() => ByteSource>;
}

/**
 * Unpacks a tar into the draft at `folder` (resolved): owners, modes, times and attributes as the tar has them. Symlinks on the way are followed, but
 * never out of `folder`. Bodies are kept by `store`, as a tar can be read only once.
 * @throws EngineError `invalid-argument` for a broken tar or a link to nothing
 */
export async function unpackArchive(
  draft: LayerDraft,
  folder: ByteString,
  source: ByteSource,
  options: UnpackOptions,
): Promise<void> {
  let links = 0;
  let madeFolder = false;
  for await (const item of readTar(inflateAny(source))) {
    options.signal.throwIfAborted();
    if (!madeFolder) await draft.makeFolders(folder, { ...root, mtime: options.moment ?? item.mtime });
    madeFolder = true;
    const path = await placeOf(draft, folder, item, options.moment ?? item.mtime);
    if (path === folder) continue;
    if (item.type === 'hardlink') await putLink(draft, folder, path, item, () => `archive ${++links}`);
    else {
      const open = item.type === 'file' ? await options.store(item.body) : undefined;
      await draft.put(path, nodeOf(item), { xattrs: item.xattrs, ...(open ? { open } : {}) });
    }
  }
}

async function placeOf(draft: LayerDraft, folder: ByteString, item: TarItem, madeAt: TarTime): Promise<ByteString> {
  const within = cleanTreePath(item.path);
  if (within === '') return folder;
  const parent = await resolvePath(draft, parentOf(within), { scope: folder });
  await draft.makeFolders(parent, { ...root, mtime: madeAt });
  return joinTree(parent, within.slice(within.lastIndexOf('/') + 1));
}

/** Hardlinks name a file of the archive, or one that was there before: it becomes part of the layer. */
async function putLink(
  draft: LayerDraft,
  folder: ByteString,
  path: ByteString,
  item: TarItem,
  newInode: () => string,
): Promise<void> {
  const target = await resolvePath(draft, cleanTreePath(item.linkPath), { scope: folder, followLast: false });
  const staged = await draft.link(target, path, newInode, {
    owner: { uid: item.uid, gid: item.gid },
    file: { mode: item.mode, mtime: item.mtime },
  });
  if (!staged) {
    throw new EngineError(
      'invalid-argument',
      `unpack archive: hardlink ${printable(item.path)} to ${printable(item.linkPath)}: no such file`,
    );
  }
}

function nodeOf(item: TarItem): TreeNode {
  const { uid, gid, sizeBytes, linkPath, mtime, devMajor, devMinor } = item;
  const type = item.type as NodeType;
  // Linux knows one mode of symlinks, whatever the archive says.
  const mode = type === 'symlink' ? 0o777 : item.mode;
  return { type, mode, uid, gid, sizeBytes, linkPath, mtime, devMajor, devMinor, inode: undefined };
}
