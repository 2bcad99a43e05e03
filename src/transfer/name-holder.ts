import { chooseMember, type ImageDescription } from '#image';
import { type Digest, isIndex } from '#oci';
import type { TransferStores } from './types.ts';

/** Of the platforms of an index that are here the one that has its names. */
export function holderOf(stores: Pick<TransferStores, 'metadata' | 'platform'>, image: ImageDescription): Digest {
  const { target, id } = image;
  if (!isIndex(target.mediaType)) return id;
  const others = stores.metadata.images.members(target.digest).filter((member) => member.id !== id);
  return chooseMember([...others, image], undefined, stores.platform)?.id ?? id;
}
