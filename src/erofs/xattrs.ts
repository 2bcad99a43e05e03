import type { ByteString } from '#archive';
import { EngineError } from '#errdefs';
import { overlayXattrPrefix, xattrHeaderBytes } from './format.ts';

/** Name prefixes that have a number of their own. */
const prefixes: readonly (readonly [string, number])[] = [
  ['user.', 1],
  ['system.posix_acl_access', 2],
  ['system.posix_acl_default', 3],
  ['trusted.', 4],
  ['security.', 6],
];

export type Xattrs = ReadonlyMap<ByteString, Uint8Array>;

/** i_xattr_icount is 16 bits wide and counts words. */
const maxAreaBytes = xattrHeaderBytes + 4 * 0xfffe;

/**
 * A layer's attributes as they are kept: what speaks to overlayfs is dropped, because a layer must not steer it, and so are namespaces no
 * local filesystem stores.
 * @throws `invalid-argument` for what does not fit an inode.
 */
export function keptXattrs(xattrs: Xattrs, path: ByteString): Xattrs {
  if (xattrs.size === 0) return xattrs;
  const kept = new Map<ByteString, Uint8Array>();
  for (const [name, value] of [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (name.startsWith(overlayXattrPrefix) || prefixOf(name) === undefined) continue;
    if (name.length > 255 || name.includes('\0') || value.byteLength > 0xffff)
      throw new EngineError('invalid-argument', `layer entry ${JSON.stringify(path)}: attribute too large`);
    kept.set(name, value);
  }
  if (xattrBytes(kept) > maxAreaBytes)
    throw new EngineError('invalid-argument', `layer entry ${JSON.stringify(path)}: too many attributes`);
  return kept;
}

function prefixOf(name: ByteString): readonly [string, number] | undefined {
  return prefixes.find(([prefix]) =>
    prefix.endsWith('.') ? name.startsWith(prefix) && name.length > prefix.length : name === prefix,
  );
}

const aligned = (sizeBytes: number) => (sizeBytes + 3) & ~3;

/** Bytes the inline area takes; 0 for none. */
export function xattrBytes(xattrs: Xattrs | undefined): number {
  if (xattrs === undefined || xattrs.size === 0) return 0;
  let sizeBytes = xattrHeaderBytes;
  for (const [name, value] of xattrs)
    sizeBytes += aligned(4 + name.length - prefixOf(name)![0].length + value.byteLength);
  return sizeBytes;
}

/** The value of i_xattr_icount for an area of that size. */
export function xattrCount(areaBytes: number): number {
  return areaBytes === 0 ? 0 : (areaBytes - xattrHeaderBytes) / 4 + 1;
}

export function encodeXattrs(xattrs: Xattrs, areaBytes: number): Buffer {
  const target = Buffer.alloc(areaBytes);
  let at = xattrHeaderBytes;
  for (const [name, value] of xattrs) {
    const [prefix, index] = prefixOf(name)!;
    const rest = name.slice(prefix.length);
    target[at] = rest.length;
    target[at + 1] = index;
    target.writeUInt16LE(value.byteLength, at + 2);
    target.write(rest, at + 4, 'latin1');
    target.set(value, at + 4 + rest.length);
    at += aligned(4 + rest.length + value.byteLength);
  }
  return target;
}

/** Decodes an inline area. @throws `data-loss` when it is not one of ours. */
export function readXattrs(area: Buffer): Map<ByteString, Uint8Array> {
  const xattrs = new Map<ByteString, Uint8Array>();
  for (let at = xattrHeaderBytes; at + 4 <= area.length; ) {
    const nameBytes = area[at]!;
    const valueBytes = area.readUInt16LE(at + 2);
    const prefix = prefixes.find(([, index]) => index === area[at + 1])?.[0];
    const end = at + 4 + nameBytes + valueBytes;
    if (prefix === undefined || end > area.length)
      throw new EngineError('data-loss', 'read index: malformed attributes');
    const name = prefix + area.toString('latin1', at + 4, at + 4 + nameBytes);
    xattrs.set(name, Buffer.from(area.subarray(end - valueBytes, end)));
    at = aligned(end);
  }
  return xattrs;
}
