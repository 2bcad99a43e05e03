import type { ByteString } from '#archive';
import { fuseAttributePrefix } from '#mount';
import { type Marks, namesIn } from './marks.ts';

/** A writable layer beside the chain it stands on. */
export interface Upper {
  readonly root: ByteString;
  /**
   * `overlay`: only what changed, with whiteouts; `fuse-overlay`: so too, with notes of fuse-overlayfs. `plain`: a whole tree,
   * where what is missing was removed.
   */
  readonly form: 'overlay' | 'fuse-overlay' | 'plain';
}

/** Names in a folder of a writable layer: of somebody's files, and of what is removed. */
export function namesInUpper({ form }: Pick<Upper, 'form'>, folder: ByteString): ByteString[] {
  return namesIn(folder, marksOf({ form }));
}

/** How it tells what it removes, and the folders below it do. */
export function marksOf({ form }: Pick<Upper, 'form'>): Marks {
  return form === 'fuse-overlay' ? 'fuse' : 'kernel';
}

/** Extended attributes of a file in a writable layer, without notes of who stacks it. */
export function withoutNotes<T>(
  { form }: Pick<Upper, 'form'>,
  xattrs: ReadonlyMap<ByteString, T>,
): ReadonlyMap<ByteString, T> {
  if (form !== 'fuse-overlay') return xattrs;
  return new Map([...xattrs].filter(([name]) => !name.startsWith(fuseAttributePrefix)));
}
