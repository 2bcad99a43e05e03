import { type PackEntry, packTar } from '#archive';
import type { ByteSource } from '#streams';
import { exportVertex } from './export-vertex.ts';
import { sendBytes } from './file-send.ts';
import { readTreeAttributes, withTrees } from './result-trees.ts';
import { type NamedTree, namedNodes } from './tree-list.ts';
import type { Exporter } from './types.ts';

/** `type=tar`: the files of the result as one tar at the client. */
export const exportTarball: Exporter = (attributes, number) => {
  const wish = readTreeAttributes('tar', attributes);
  return async (parts) => {
    const { status, signal } = parts.build;
    const vertex = exportVertex(parts.build, number, 'exporting to client tarball');
    return await status.during(vertex, async () => {
      const session = await parts.build.session();
      await withTrees(parts, wish, async (trees) => {
        const count = status.counted(vertex.digest, 'sending tarball');
        const onBytes = (bytes: number) => count.add(bytes);
        await sendBytes(session, packTar(membersOf(trees)), { exporter: number, onBytes, signal });
        count.end();
      });
      return {};
    });
  };
};

/** A second name of a file is a hardlink to its first. */
async function* membersOf(trees: readonly NamedTree[]): AsyncGenerator<{ entry: PackEntry; body?: ByteSource }> {
  for (const { folder, tree } of trees) {
    for await (const { path, shown, node, first } of namedNodes({ folder, tree })) {
      const { inode: _inode, ...attributes } = node;
      if (first !== undefined) {
        yield { entry: { ...attributes, path: shown, type: 'hardlink', linkPath: first } };
        continue;
      }
      const entry = { ...attributes, path: shown, xattrs: await tree.xattrs(path) };
      yield { entry, ...(node.type === 'file' ? { body: tree.read(path) } : {}) };
    }
  }
}
