import { formatPlatform } from '#oci';
import { ExportAttributes } from './attributes.ts';
import type { NamedTree } from './tree-list.ts';
import type { ExportParts } from './types.ts';

export interface TreeWish {
  /** A folder for each platform, even for one; left out: where there are several. */
  readonly splits: boolean | undefined;
}

export function readTreeAttributes(exporter: string, attributes: Readonly<Record<string, string>>): TreeWish {
  const read = new ExportAttributes(exporter, attributes);
  const splits = read.flag('platform-split');
  read.text('dest');
  read.end();
  return { splits };
}

/** The files of the result, while `work` runs. Without a folder for each, those of one platform lie over those of another. */
export async function withTrees(
  { build, host, images, isIndex = false }: ExportParts,
  { splits = isIndex }: TreeWish,
  work: (trees: readonly NamedTree[]) => Promise<void>,
): Promise<void> {
  await using held = new AsyncDisposableStack();
  const trees: NamedTree[] = [];
  for (const { id, platform } of images) {
    const { tree } = held.use(await host.files(id, build.signal));
    trees.push({ folder: splits ? formatPlatform(platform).replaceAll('/', '_') : '', tree });
  }
  await work(trees);
}
