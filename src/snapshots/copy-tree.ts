import { type ByteString, bytesOf } from '#archive';
import { sys } from '#sys';
import type { AbortFlag } from './abort-flag.ts';
import { readAttributes, typeOfStat, writeAttributes } from './attributes.ts';
import { createFile, fileData, linkFile } from './create.ts';
import { listNames } from './marks.ts';

/** Copies a tree into an empty folder, file by file with every attribute; names of one file stay one file. Blocking. */
export function copyTree(source: ByteString, target: ByteString, abort: AbortFlag): void {
  copyFolder(source, target, new Map(), abort);
}

function copyFolder(source: ByteString, target: ByteString, links: Map<bigint, ByteString>, abort: AbortFlag): void {
  abort.check();
  const attributes = readAttributes(source);
  for (const name of listNames(source)) copyEntry(`${source}/${name}`, `${target}/${name}`, links, abort);
  writeAttributes(target, attributes);
}

function copyEntry(source: ByteString, target: ByteString, links: Map<bigint, ByteString>, abort: AbortFlag): void {
  const stat = sys.lstat(bytesOf(source));
  const isFolder = typeOfStat(stat) === 'directory';
  const first = isFolder ? undefined : links.get(stat.ino);
  if (first !== undefined) {
    linkFile(first, target);
    return;
  }
  const attributes = readAttributes(source, stat);
  createFile(target, attributes, fileData(source, attributes.sizeBytes));
  if (isFolder) copyFolder(source, target, links, abort);
  else if (stat.nlink > 1) links.set(stat.ino, target);
}
