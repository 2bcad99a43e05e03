import type { ImageFile } from '#api-types';
import { type ByteString, bytesOf, type TarTime, utf8FromBytes } from '#archive';
import type { IndexInode } from '#erofs';
import type { FoundFile, ImageTree } from './image-tree.ts';

/** A file as the API tells of it. */
export function describeFile(tree: ImageTree, { path, node }: FoundFile): ImageFile {
  const inode = tree.inode(node);
  const { type, mode, uid, gid, sizeBytes, mtime, linkPath, devMajor, devMinor, xattrs, links } = inode;
  const isDevice = type === 'char' || type === 'block';
  const target = textOf(linkPath);
  return {
    ...pathFields(path),
    type,
    mode: shownMode(mode),
    uid,
    gid,
    sizeBytes,
    modified: shownTime(mtime),
    ...(type === 'symlink' ? { target: target.text } : {}),
    ...(target.bytes ? { targetBytes: target.bytes } : {}),
    ...(isDevice ? { device: `${devMajor}:${devMinor}` } : {}),
    ...(type !== 'directory' && links > 1 ? { links } : {}),
    ...(xattrs.size > 0 ? { xattrs: shownXattrs(inode) } : {}),
    layer: tree.layer(node),
  };
}

export function pathFields(path: ByteString): Pick<ImageFile, 'path' | 'pathBytes'> {
  const { text, bytes } = textOf(`/${path}`);
  return { path: text, ...(bytes ? { pathBytes: bytes } : {}) };
}

export const shownMode = (mode: number) => mode.toString(8).padStart(4, '0');

export function shownXattrs({ xattrs }: Pick<IndexInode, 'xattrs'>): Record<string, string> {
  const values = [...xattrs].map(([name, value]) => [utf8FromBytes(name), Buffer.from(value).toString('base64')]);
  return Object.fromEntries(values) as Record<string, string>;
}

/** Absolute, for messages. */
export function shownPath(path: ByteString): string {
  return utf8FromBytes(path.startsWith('/') ? path : `/${path}`);
}

function textOf(name: ByteString): { readonly text: string; readonly bytes?: string } {
  const text = utf8FromBytes(name);
  const isExact = text === name || bytesOf(name).equals(Buffer.from(text, 'utf8'));
  return isExact ? { text } : { text, bytes: bytesOf(name).toString('base64') };
}

/** Beyond these a date has no four-digit year. */
const [firstSec, lastSec] = [Date.parse('0000-01-01T00:00:00Z') / 1000, Date.parse('9999-12-31T23:59:59Z') / 1000];

export function shownTime({ sec, nsec }: TarTime): string {
  const shownSec = Math.min(Math.max(sec, firstSec), lastSec);
  const whole = new Date(shownSec * 1000).toISOString().slice(0, 19);
  const fraction = nsec === 0 ? '' : `.${String(nsec).padStart(9, '0').replace(/0+$/, '')}`;
  return `${whole}${fraction}Z`;
}
