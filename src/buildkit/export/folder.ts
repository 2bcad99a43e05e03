import { exportVertex } from './export-vertex.ts';
import { readTreeAttributes, withTrees } from './result-trees.ts';
import { sendFiles } from './send-files.ts';
import type { Exporter } from './types.ts';

/** `type=local`: the files of the result in a folder of the client, of each platform in one below it. */
export const exportFolder: Exporter = (attributes, number) => {
  const wish = readTreeAttributes('local', attributes);
  return async (parts) => {
    const { status, signal } = parts.build;
    const vertex = exportVertex(parts.build, number, 'exporting to client directory');
    return await status.during(vertex, async () => {
      const session = await parts.build.session();
      await withTrees(parts, wish, async (trees) => {
        const count = status.counted(vertex.digest, 'copying files');
        await sendFiles(session, { exporter: number, trees, onBytes: (bytes) => count.add(bytes), signal });
        count.end();
      });
      return {};
    });
  };
};
