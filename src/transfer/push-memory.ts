import { fullName } from '#reference';
import type { UploadMemory } from '#registry';
import type { PushCall } from './push-layers.ts';

/** Remembers an upload of these bytes to the push's repository. `what` names them: a digest, or a layer and how it is compressed. */
export function uploadMemory(
  { stores, reference }: Pick<PushCall, 'stores' | 'reference'>,
  what: string,
): UploadMemory {
  const key = `${fullName(reference)} ${what}`;
  return {
    take: () => stores.metadata.uploads.take(key),
    keep: (location) => stores.metadata.uploads.keep(key, location),
  };
}
