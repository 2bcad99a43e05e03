import type { MessageInitShape } from '@bufbuild/protobuf';
import { type SourceTree, type TreeNode, walkTree } from '#builder';
import { EngineError } from '#errdefs';
import type { StatSchema } from '../proto/fsutil_pb.ts';
import { modeBits } from '../session/stat-entry.ts';

export interface ListedFile {
  /** In its tree: each character a byte. */
  readonly path: string;
  readonly tree: SourceTree;
  readonly stat: MessageInitShape<typeof StatSchema>;
  readonly sizeBytes: number;
}

/** Below which folder of the result a tree goes; empty for the top. */
export interface NamedTree {
  readonly folder: string;
  readonly tree: SourceTree;
}

/**
 * The files of trees as clients want them told: folders before what is in them, names in the order of their bytes, a second name of a file as a link to
 * its first.
 * @throws `invalid-argument` for a name that is no text, which the protocol has no place for
 */
export async function* listTrees(trees: readonly NamedTree[]): AsyncGenerator<ListedFile> {
  for (const { folder, tree } of [...trees].sort((a, b) => (a.folder < b.folder ? -1 : 1))) {
    for await (const { path, shown, node, first } of namedNodes({ folder, tree })) {
      if (path === '') {
        yield { path, tree, sizeBytes: 0, stat: { path: folder, mode: modeBits.folder + 0o755 } };
        continue;
      }
      const xattrs = Object.fromEntries(await tree.xattrs(path));
      const isContent = node.type === 'file' && first === undefined;
      yield {
        path,
        tree,
        sizeBytes: isContent ? node.sizeBytes : 0,
        stat: { ...statOf(text(shown), node), ...(first === undefined ? {} : { linkName: text(first) }), xattrs },
      };
    }
  }
}

interface NamedNode {
  /** In its tree. */
  readonly path: string;
  /** In the result. */
  readonly shown: string;
  readonly node: TreeNode;
  /** Of a file that has been named before, that name. */
  readonly first: string | undefined;
}

/** Every file of a tree by its name in the result, folders first; the top of the tree only where it is a folder there. */
export async function* namedNodes({ folder, tree }: NamedTree): AsyncGenerator<NamedNode> {
  const links = new Map<string, string>();
  for await (const { path, node } of walkTree(tree, '')) {
    const shown = folder === '' ? path : path === '' ? folder : `${folder}/${path}`;
    const first = node.inode === undefined ? undefined : links.get(node.inode);
    if (node.inode !== undefined && first === undefined) links.set(node.inode, shown);
    if (shown !== '') yield { path, shown, node, first };
  }
}

function statOf(path: string, node: TreeNode): MessageInitShape<typeof StatSchema> {
  return {
    path,
    mode: modeOf(node),
    uid: node.uid,
    gid: node.gid,
    size: BigInt(node.sizeBytes),
    modTime: BigInt(node.mtime.sec) * 1_000_000_000n + BigInt(node.mtime.nsec),
    linkName: node.type === 'symlink' ? text(node.linkPath) : '',
    devMajor: BigInt(node.devMajor),
    devMinor: BigInt(node.devMinor),
  };
}

/** As Go has it. */
function modeOf({ type, mode }: TreeNode): number {
  const special =
    (mode & 0o4000 ? modeBits.setuid : 0) +
    (mode & 0o2000 ? modeBits.setgid : 0) +
    (mode & 0o1000 ? modeBits.sticky : 0);
  const kinds = {
    file: 0,
    directory: modeBits.folder,
    symlink: modeBits.symlink,
    fifo: modeBits.pipe,
    block: modeBits.device,
    char: modeBits.device + modeBits.charDevice,
  } as const;
  return kinds[type] + special + (mode & 0o777);
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function text(path: string): string {
  try {
    return utf8.decode(Buffer.from(path, 'latin1'));
  } catch (cause) {
    throw new EngineError('invalid-argument', `${JSON.stringify(path)}: a name that is not UTF-8 cannot be sent`, {
      cause,
    });
  }
}
