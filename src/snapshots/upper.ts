import type { ByteString } from '#archive';
import { fuseAttributePrefix, fuseOpaqueNames } from '#mount';
import { listNames } from './merged.ts';

/** A writable layer beside the chain it stands on. */
export interface Upper {
  readonly root: ByteString;
  /**
   * `overlay`: only what changed, with whiteouts; `fuse-overlay`: so too, with notes of fuse-overlayfs in opaque folders. `plain`: a whole tree,
   * where what is missing was removed.
   */
  readonly form: 'overlay' | 'fuse-overlay' | 'plain';
}

/** Names in a folder of a writable layer that are somebody's files. */
export function namesInUpper({ form }: Pick<Upper, 'form'>, folder: ByteString): ByteString[] {
  const names = listNames(folder);
  return form === 'fuse-overlay' ? names.filter((name) => !fuseOpaqueNames.has(name)) : names;
}

/** Extended attributes of a file in a writable layer, without notes of who stacks it. */
export function withoutNotes<T>(
  { form }: Pick<Upper, 'form'>,
  xattrs: ReadonlyMap<ByteString, T>,
): ReadonlyMap<ByteString, T> {
  if (form !== 'fuse-overlay') return xattrs;
  return new Map([...xattrs].filter(([name]) => !name.startsWith(fuseAttributePrefix)));
}
