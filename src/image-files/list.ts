import type { ImageFile, ListFilesOptions } from '#api-types';
import { bytesFromUtf8 } from '#archive';
import { inSlices } from '#concurrency';
import { describeFile } from './describe.ts';
import type { FoundFile, ImageTree } from './image-tree.ts';

/**
 * What is at a path of an image: a folder's files in byte order of their names, or the one file.
 * @throws as {@link ImageTree.find}
 */
export async function* listFiles(
  tree: ImageTree,
  options: ListFilesOptions & { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<ImageFile> {
  const path = bytesFromUtf8(options.path ?? '/');
  const found = tree.find(path, { follow: !options.self && !options.noFollow });
  const isFolder = tree.inode(found.node).type === 'directory';
  if (options.self || !isFolder) {
    yield describeFile(tree, found);
    return;
  }
  const files = options.recursive ? below(tree, found) : tree.children(found);
  for await (const file of inSlices(files, options)) yield describeFile(tree, file);
}

/** Folders before what is in them. */
export function* below(tree: ImageTree, folder: FoundFile): Generator<FoundFile> {
  const open = [tree.children(folder)];
  for (let at = open.at(-1); at !== undefined; at = open.at(-1)) {
    const { value, done } = at.next();
    if (done) {
      open.pop();
      continue;
    }
    yield value;
    if (tree.inode(value.node).type === 'directory') open.push(tree.children(value));
  }
}
