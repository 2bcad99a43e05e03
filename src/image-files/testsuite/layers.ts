import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { endOfArchive, type PackEntry, packHeader, packPadding } from '#archive';
import { buildIndex } from '#erofs';
import { createDigester, type DiffID } from '#oci';
import { layerTag } from '#snapshots';
import type { TreeSource } from '../protocol.ts';

export type Member = PackEntry & { readonly content?: string };

export const file = (path: string, content: string, more: Partial<PackEntry> = {}): Member => ({
  type: 'file',
  path,
  mode: 0o644,
  content,
  ...more,
});
export const folder = (path: string): Member => ({ type: 'directory', path, mode: 0o755 });

export function tarOf(members: readonly Member[]): Buffer {
  const parts = members.flatMap(({ content = '', ...entry }) => [
    packHeader({ ...entry, sizeBytes: content.length }),
    Buffer.from(content, 'latin1'),
    packPadding(content.length),
  ]);
  return Buffer.concat([...parts, endOfArchive]);
}

/** Layers of an image in a folder, each with its index above those below. */
export function imageIn(path: string, name: string, tars: readonly Buffer[]): TreeSource {
  const chain: DiffID[] = [];
  const paths: { tar: string; index: string }[] = [];
  for (const [at, bytes] of tars.entries()) {
    const digester = createDigester('sha256');
    digester.update(bytes);
    const diffID = digester.digest() as string as DiffID;
    const own = { tar: join(path, `${name}-${at}.tar`), index: join(path, `${name}-${at}.erofs`) };
    writeFileSync(own.tar, bytes);
    buildIndex({
      tarPath: own.tar,
      tag: layerTag(diffID),
      indexPath: own.index,
      lower: paths.map(({ index }) => index).reverse(),
      tarOf: (tag) => paths[chain.findLastIndex((known) => layerTag(known) === tag)]!.tar,
    });
    chain.push(diffID);
    paths.push(own);
  }
  return { name, chain, indexes: paths.map(({ index }) => index), tars: paths.map(({ tar }) => tar) };
}
