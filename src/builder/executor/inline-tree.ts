import type { ByteString } from '#archive';
import { fromBytes } from '#streams';
import { startFileHash } from './file-hash.ts';
import { emptyTree, type SourceTree, type TreeNode, toBytes } from './source-tree.ts';

/** Files written into the Dockerfile: mode 0644, owner root, time of the epoch. */
export function inlineTree(files: readonly { readonly name: string; readonly content: string }[]): SourceTree {
  const contents = new Map(files.map((file) => [toBytes(file.name), Buffer.from(file.content)]));
  const node = (path: ByteString): TreeNode | undefined => {
    const content = contents.get(path);
    return content && { ...blank, sizeBytes: content.length };
  };
  const hash = async (path: ByteString) => {
    const found = node(path);
    if (!found) return path;
    return startFileHash({ ...found, name: path, xattrs: new Map() })
      .update(contents.get(path)!)
      .digest('hex');
  };
  return {
    lstat: async (path) => (path === '' ? emptyTree.lstat('') : node(path)),
    list: async (path) => (path === '' ? [...contents.keys()].sort() : []),
    read: (path) => fromBytes(contents.get(path) ?? Buffer.alloc(0)),
    xattrs: async () => new Map(),
    hash,
    contentHash: hash,
  };
}

const blank: TreeNode = {
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  sizeBytes: 0,
  linkPath: '',
  mtime: { sec: 0, nsec: 0 },
  devMajor: 0,
  devMinor: 0,
  inode: undefined,
};
