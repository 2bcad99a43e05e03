/**
 * Images where they are, in registries, layouts and archives, without a store or a daemon: looked into, copied, deleted.
 * Imports errdefs, streams, files, concurrency, archive, oci, reference, registry,
 * transfer.
 *
 * Nothing is kept here. Documents are held, bounded; blobs pass through.
 */
export { composeParts, type IndexPart, indexParts, pushIndex, writeIndex } from './compose.ts';
export { type Copied, type CopyOptions, type CopyProgress, copyImage } from './copy.ts';
export { type CopyEnd, copyPlaces } from './copy-places.ts';
export { type DeletedImage, deleteRemote } from './delete.ts';
export {
  type DeletedThing,
  deletedThings,
  describeRepository,
  type HubRepository,
  hubRepository,
  restoreThing,
  type ScrubReport,
  scrubRegistry,
  starRepository,
} from './hub.ts';
export { inspectRemote, type RemoteImage, type RemoteInspection, type RemotePlatform } from './inspect.ts';
export { type CopySink, type CopySource, parsePlace } from './places.ts';
export { type SearchOptions, searchRemote } from './search.ts';
export { listTags, type RemoteTag } from './tags.ts';
export type { RemoteCall } from './types.ts';
