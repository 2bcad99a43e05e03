import { buildCacheWrites } from './build-cache.ts';
import { documentWrites } from './documents.ts';
import { garbageWrites } from './garbage.ts';
import { imageWrites } from './images.ts';
import { journalWrites } from './journal-restore.ts';
import { layerSourceWrites } from './layer-sources.ts';
import { layerWrites } from './layers.ts';
import { leaseWrites } from './leases.ts';
import { uploadWrites } from './uploads.ts';

/** Every change of state there is. Each runs whole or not at all, in the database thread. */
export const writes = {
  ...imageWrites,
  ...layerWrites,
  ...layerSourceWrites,
  ...leaseWrites,
  ...documentWrites,
  ...uploadWrites,
  ...buildCacheWrites,
  ...garbageWrites,
  ...journalWrites,
};

export type Writes = typeof writes;
export type WriteName = keyof Writes;
export type WriteInput<K extends WriteName> = Parameters<Writes[K]>[1];
export type WriteResult<K extends WriteName> = ReturnType<Writes[K]>;

/** How one crosses to the thread. */
export interface WriteRequest {
  readonly name: WriteName;
  readonly input: unknown;
}
